"""What became of an event, and how a publisher is doing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Accepted(StrEnum):
    """Where an accepted event is for certain; from either place it reaches every reader."""

    LOG = "log"
    """Acknowledged by all in-sync replicas of Kafka."""
    SPOOL = "spool"
    """Synced to the spool on the bot's own disk; sent in order as soon as Kafka is there, by a later start too."""


@dataclass(frozen=True, slots=True)
class Status:
    """Numbers of this publisher since its start; `spooled` is what waits in the spool now."""

    connected: bool
    """Whether events go straight to Kafka."""
    waiting: int
    """Events in memory, not accepted yet."""
    acknowledged: int
    spooled: int
    spooled_bytes: int
    refused: int
    """Events whose caller was told that they are not accepted."""
    set_aside: int
    """Records in the spool's file that could not be read or that Kafka refuses for good, kept with their bytes."""
    last_error: str | None
    """Why Kafka was away the last time."""
