"""Measurements: our services beside what somebody would use instead, on one machine, in one run.

Nothing here judges: a benchmark reports, and no test asserts a time.
"""
