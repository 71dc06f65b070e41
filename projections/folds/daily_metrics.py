"""daily_metrics: the figures of days, by the differences that all folds collected. Runs last."""

from __future__ import annotations

import asyncpg

from projections.folds.work import Work, columns
from projections.sql import query


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Add the batch's differences to the days, and drop days on which nothing is left."""
    days = list(work.days)
    if not days:
        return
    gains = [(day, *(max(amount, 0) for amount in row)) for day, row in days]
    await connection.execute(query("daily_metrics", "add_days"), *columns(gains))
    losses = [(day, *(max(-amount, 0) for amount in row)) for day, row in days if min(row) < 0]
    if losses:
        # Apart from the gains: a check refuses an upsert's row by itself, before it is added to the one that exists.
        await connection.execute(query("daily_metrics", "subtract_days"), *columns(losses))
        await connection.execute(query("daily_metrics", "drop_empty_days"), [row[0] for row in losses])
