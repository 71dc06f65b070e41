"""The fault campaign: real processes, a real Kafka and a real Postgres, broken again and again by a seed.

`python -m tests.faults --help` says what there is; docs/faults.md says what is injected and what must hold.
"""
