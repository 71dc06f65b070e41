"""Both services as real processes, judged by the simulator's books."""
