"""What a person does about an event whose rows the database refused: accept that it stays out of the tables.

(The other way is a redriven copy, which closes the refusal in the batch that applies it: see `writer`.)
"""

from __future__ import annotations

from datetime import datetime

import asyncpg

from projections import sql
from projections.checkpoints import Place
from schemas.errors import ConfigurationError


async def accept(connection: asyncpg.Connection, place: Place, offset: int, *, by: str, note: str) -> datetime:
    """Note that the event stays out of the tables, who decided that and why; return when, by the database's clock.

    Raises ConfigurationError where no event was refused, or where that is dealt with already: a decision stands.
    """
    arguments = (place.topic, place.partition, offset)
    decided_at: datetime | None = await connection.fetchval(sql.query("refused", "accept"), *arguments, by, note)
    if decided_at is not None:
        return decided_at
    found = await connection.fetchrow(sql.query("refused", "find"), *arguments)
    where = f"{place}/{offset}"
    if found is None:
        raise ConfigurationError(f"the database refused no event at {where}; see `botpulse dead-letters list`")
    if found["state"] == "redriven":
        raise ConfigurationError(f"the event at {where} is in the tables: a redriven copy of it was applied")
    when = f"{found['decided_at']:%Y-%m-%d %H:%M} UTC"
    raise ConfigurationError(f"the event at {where} was accepted already, by {found['decided_by']} at {when}")
