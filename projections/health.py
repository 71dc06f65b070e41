"""Whether the service lives and is ready, as `schemas.probes` tells it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

STUCK_SECONDS: Final = 120.0
"""The runner's loop comes round at least this often, also while it waits for Postgres or Kafka."""


@dataclass(slots=True)
class Health:
    """What the runner last knew. Kept by the runner, read by the server."""

    joined: bool = False
    """This worker is a member of the group and has claimed what it was given (which may be nothing)."""
    database_up: bool = False
    kafka_up: bool = True
    open_refusals: int = 0
    last_turn: float = field(default_factory=time.monotonic)

    def alive(self) -> bool:
        """Whether the runner's loop still comes round; if not, only a restart helps."""
        return time.monotonic() - self.last_turn < STUCK_SECONDS

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        found = []
        if not self.database_up:
            found.append("Postgres is away; nothing is fetched until it is back")
        if not self.kafka_up:
            found.append("Kafka does not answer")
        if not self.joined:
            found.append("no partitions claimed yet")
        if self.open_refusals:
            found.append(
                f"{self.open_refusals} events refused by the database are neither redriven nor accepted "
                "(botpulse dead-letters)"
            )
        return found
