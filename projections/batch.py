"""What the runner hands to the projections, and what it gets back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from projections.briefs import Brief
from schemas.events import Event, TierChanged


class DeadLetter(NamedTuple):
    """A letter on the topic of dead letters: the place of the record that was refused, by which stage, and why."""

    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    detail: str


class Arrival(NamedTuple):
    """A valid event seen for the first time, a tier change or a letter, with its place in the log.

    Events that `briefs` has a shorter form for come in it or whole.
    """

    event: Event | Brief | TierChanged | DeadLetter
    topic: str
    partition: int
    offset: int
    appended_at: datetime
    """The broker's time of the record, aware, UTC."""


class Applied(NamedTuple):
    """What the projections did with a batch, beyond the rows."""

    conflicts: int = 0
    """Facts whose business identity is known with another amount: skipped (streams writes their letters)."""


Apply = Callable[[asyncpg.Connection, Sequence[Arrival]], Awaitable[Applied]]
"""Folds a batch into rows, inside the caller's open transaction.

Arrivals of one partition come in the order of the log; between partitions and topics there is no order. A batch may be
split anywhere: applying its halves one after the other gives the same rows. Raises asyncpg's errors as they are; the
runner tells a row that the database refused from a database that is away.
"""
