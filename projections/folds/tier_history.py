"""tier_history: the tier changes that streams sent."""

from __future__ import annotations

from typing import Any

import asyncpg

from projections.folds.hour_figures import HourFigure
from projections.folds.work import Work, columns
from projections.sql import query
from schemas.events import TierChanged


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write the tier changes; of one that was sent twice the first stands."""
    rows: dict[str, tuple[Any, ...]] = {}
    for _, telegram_id, event, arrival in work.journal.of(TierChanged):
        data = event.data
        rows.setdefault(
            event.id,
            (
                event.id,
                telegram_id,
                event.time,
                data.previous,
                data.current,
                data.purchases,
                data.spent_cents,
                data.rules_version,
                data.caused_by.source,
                data.caused_by.id,
                arrival.partition,
                arrival.offset,
            ),
        )
    if rows:
        for row in await connection.fetch(query("tier_history", "write_tier_changes"), *columns(rows.values())):
            work.hours.count(row["changed_at"], HourFigure.TIER_CHANGES)
