"""Thin layers between a framework and `telegram.Tracker`; each needs its framework, and nothing else imports it."""
