"""dead_letters: what was refused, and why, as the letters on the log say."""

from __future__ import annotations

import asyncpg

from projections.batch import DeadLetter
from projections.folds.hour_figures import HourFigure
from projections.folds.work import Work, columns
from projections.sql import query


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write the letters; of one that was sent twice the first stands. Each counts in its hour, by the broker's time."""
    rows = {
        entry.event[:4]: (*entry.event, entry.arrival.appended_at, entry.arrival.partition, entry.arrival.offset)
        for entry in reversed(work.journal.of(DeadLetter))
        if entry.arrival.appended_at >= work.horizons.dead_letters
    }
    if rows:
        ordered = [rows[identity] for identity in sorted(rows)]
        for row in await connection.fetch(query("dead_letters", "write_letters"), *columns(ordered)):
            work.hours.count(row["appended_at"], HourFigure.DEAD_LETTERS)
