"""A simulated log in the tables of one database, with the simulator's books about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import asyncpg
import orjson

from deploy.simulate import DEMO, Books, Emission, Plan, simulate
from projections.batch import Arrival
from projections.database import open_connection
from projections.registry import apply
from schemas.codec import CONTENT_TYPE_HEADER, Decoder, event_identity
from tests.support.filling import Record

BATCH = 1_500


async def fill(
    database_url: str, *, users: int, events: int, seed: int, days: int = 60, more: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Apply a log that ends now, faults and all, by the projections' own folds; return the books' report.

    `more` are events of the wire's form, at the end of the log.
    """
    end = datetime.now(UTC)
    plan = Plan(users, events, seed, end, days, DEMO)
    books, seen = Books(), set[tuple[str, str, datetime]]()
    decode = Decoder(1).decode
    log: list[Arrival] = []
    others = (Emission(e["subject"].encode(), orjson.dumps(e), [CONTENT_TYPE_HEADER], e, None, False) for e in more)
    for offset, emission in enumerate(chain(simulate(plan), others)):
        books.add(emission)
        if emission.event is None:
            continue
        appended_at = end + timedelta(milliseconds=offset)
        timestamp = int(appended_at.timestamp() * 1000)
        event = decode(Record("bot.events", 0, offset, timestamp, emission.key, emission.value, emission.headers))
        if event_identity(event) not in seen:
            seen.add(event_identity(event))
            log.append(Arrival(event, "bot.events", 0, offset, appended_at))
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    try:
        for start in range(0, len(log), BATCH):
            async with connection.transaction():
                await apply(connection, log[start : start + BATCH])
    finally:
        await connection.close()
    return books.report()


async def as_role(database_url: str, role: str) -> asyncpg.Connection:
    """Connect with nobody's rights but the role's.

    A migrated database has these settings for everyone; the tests' databases are copies, which lose them.
    """
    settings = {"search_path": "botpulse, public", "timezone": "UTC"}
    connection = await asyncpg.connect(database_url, server_settings=settings)
    await connection.execute(f"SET ROLE botpulse_{role}")
    return connection
