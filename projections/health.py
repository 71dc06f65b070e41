"""Whether the service lives and is ready, as `schemas.process.probes` tells it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.counting import counted

STUCK_SECONDS: Final = 120.0
"""A lane's loop comes round at least this often, also while it waits for Postgres or Kafka."""


@dataclass(slots=True)
class LaneHealth:
    """What a lane last knew. Kept by the lane, read by the server."""

    joined: bool = False
    """This worker is a member of the group and the lane has claimed what it was given (which may be nothing)."""
    database_up: bool = False
    kafka_up: bool = True
    open_refusals: int = 0
    last_turn: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Health:
    """What the server tells of a worker: all is well where it is in every lane."""

    lanes: Sequence[LaneHealth] = field(default_factory=lambda: [LaneHealth()])
    """One that has joined nothing, until there are any."""

    def alive(self) -> bool:
        """Whether every lane's loop still comes round; if not, only a restart helps."""
        return time.monotonic() - min(lane.last_turn for lane in self.lanes) < STUCK_SECONDS

    def connections(self) -> int:
        """How many lanes have a connection to Postgres."""
        return sum(lane.database_up for lane in self.lanes)

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        found = []
        if not all(lane.database_up for lane in self.lanes):
            found.append("Postgres is away; nothing is fetched until it is back")
        if not all(lane.kafka_up for lane in self.lanes):
            found.append("Kafka does not answer")
        if not all(lane.joined for lane in self.lanes):
            found.append("no partitions claimed yet")
        if open_refusals := max(lane.open_refusals for lane in self.lanes):
            found.append(
                f"{counted(open_refusals, 'event')} refused by the database, neither redriven nor accepted "
                "(botpulse dead-letters)"
            )
        return found
