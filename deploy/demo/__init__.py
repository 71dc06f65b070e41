"""The demo: all of Botpulse once, checked against the simulator's books."""
