"""What the projections of one batch share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from projections.folds.actions import Actions
from projections.folds.day_figures import DayFigures
from projections.folds.differences import Differences
from projections.folds.hour_figures import HourFigures
from projections.folds.journal import Journal
from projections.folds.profiles import ProfileChange
from projections.folds.sessions import Session
from projections.ledger.ledger import Ledger
from projections.retention import Horizons

PURCHASES, REVENUE_CENTS = range(2)
"""The figures of Triggers."""


class Triggers(Differences[str]):
    """Differences by the type of event before purchases."""

    def __init__(self) -> None:
        super().__init__(2)


@dataclass(slots=True)
class Work:
    """The batch's events, what the ledger made of them, `days` and `hours`, to which all folds add, and from
    when on rows are kept."""

    journal: Journal
    ledger: Ledger
    actions: Actions
    days: DayFigures
    hours: HourFigures
    horizons: Horizons
    sessions: dict[int, list[Session]] = field(default_factory=dict)
    """By user, what `user_sessions` found stored around the batch's actions."""
    triggers: Triggers = field(default_factory=Triggers)
    profile_changes: list[ProfileChange] = field(default_factory=list)
    """What the projection `users` has changed, in the order of the log."""


def columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Turn rows into the parallel arrays that `unnest` takes; at least one row."""
    return [list(column) for column in zip(*rows, strict=True)]


async def write_differences(
    connection: asyncpg.Connection,
    differences: Iterable[tuple[Any, Sequence[int]]],
    *,
    add: str,
    subtract: str,
    drop_empty: str,
) -> None:
    """Write them by these three statements, and drop rows on which nothing is left."""
    rows = list(differences)
    if not rows:
        return
    # Every row that the batch touches is among the gains, in order: writers of several partitions wait for each other.
    gains = [(key, *(max(amount, 0) for amount in row)) for key, row in rows]
    await connection.execute(add, *columns(gains))
    losses = [(key, *(max(-amount, 0) for amount in row)) for key, row in rows if min(row) < 0]
    if losses:
        # Apart from the gains: a check refuses an upsert's row by itself, before it is added to the one that exists.
        await connection.execute(subtract, *columns(losses))
        await connection.execute(drop_empty, [row[0] for row in losses])
