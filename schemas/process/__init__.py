"""What every process here is run with: lines, traces, probes, secrets, a name of its own, points to crash at."""
