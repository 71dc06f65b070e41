"""What a benchmark tells its workers."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.bench.counter import SETTING, Counter


def bootstrap_servers() -> str:
    """Kafka's address."""
    return os.environ["KAFKA_BOOTSTRAP_SERVERS"]


def topic() -> str:
    """The name of the topic to read."""
    return os.environ["BOTPULSE_BENCH_TOPIC"]


def partitions() -> int:
    """How many partitions it has."""
    return int(os.environ["BOTPULSE_BENCH_PARTITIONS"])


def group() -> str:
    """The consumer group to be."""
    return os.environ["BOTPULSE_BENCH_GROUP"]


def counter() -> Counter:
    """Where to count what is done."""
    return Counter(Path(os.environ[SETTING]))
