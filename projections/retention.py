"""What is not kept for ever: of some tables only rows from a horizon on.

`cleanup_old_data()` moves the horizons, between two batches of the projector, and removes what lies before them. A fact
older than a table's horizon still counts in every total; its row in that table is never written again. So the live
tables and a rebuild, which reads the whole log, agree, whenever the cleanup ran.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

import asyncpg

from projections.sql import query

EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Horizons:
    """From when on rows are kept, by table; EVER where nothing was ever removed."""

    user_sessions: datetime = EVER
    """Sessions are made of the own actions from here on; a session that reached across begins later."""
    hourly_metrics: datetime = EVER
    dead_letters: datetime = EVER
    """By the broker's time of the letter; the same as that of the hours, which count the letters."""


async def load(connection: asyncpg.Connection) -> Horizons:
    """Return the horizons as they are; inside a batch's transaction they don't move."""
    rows = await connection.fetch(query("retention", "horizons"), [field.name for field in fields(Horizons)])
    return Horizons(**dict(rows))
