"""`make check-ops`: what is checked with tools that are no Python libraries of ours."""
