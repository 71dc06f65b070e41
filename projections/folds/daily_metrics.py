"""daily_metrics: the figures of days, by the differences that all folds collected. Runs after them."""

from __future__ import annotations

import asyncpg

from projections.folds.work import Work, write_differences
from projections.sql import query


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Add the batch's differences to the days, and drop days on which nothing is left."""
    await write_differences(
        connection,
        work.days,
        add=query("daily_metrics", "add_days"),
        subtract=query("daily_metrics", "subtract_days"),
        drop_empty=query("daily_metrics", "drop_empty_days"),
    )
