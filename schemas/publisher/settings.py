"""What a publisher may use, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The defaults suit a bot; durations are in seconds."""

    acknowledge_seconds: float = 5.0
    """Past this an unacknowledged event goes to the spool and Kafka counts as away.

    The publisher's own deadline: an idempotent aiokafka producer by itself never gives a batch up.
    """
    retry_seconds: float = 1.0
    """How long to wait before Kafka is tried again."""
    drain_seconds: float = 10.0
    """How long `close` waits for the spool to reach Kafka; what is left is sent by the next start."""
    queue_events: int = 10_000
    """Events that may wait in memory."""
    spool_events: int = 1_000_000
    """Events that may wait in the spool."""
    spool_bytes: int = 1024 * 1024 * 1024
    """Bytes of keys and values that may wait in the spool; its file is somewhat larger."""
