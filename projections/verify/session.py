"""What every process of a comparison works in: one moment of the database, and no garbage collector."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import asyncpg

from projections.access import ADMIN
from projections.database import connect
from projections.sql import query

_LOCK_TIMEOUT_MS: Final = 5_000
_STATEMENT_SECONDS: Final = 600.0


@contextmanager
def without_collector() -> Iterator[None]:
    """Folding makes hundreds of thousands of objects and no cycles: looking for some takes a quarter of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@asynccontextmanager
async def snapshot(database_url: str, name: str | None = None) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """A connection that sees one moment only, a named one or the present, and the moment's name."""
    connection = await connect(
        database_url,
        "DATABASE_URL",
        application_name="botpulse-verify",
        lock_timeout_ms=_LOCK_TIMEOUT_MS,
        command_seconds=_STATEMENT_SECONDS,
        role=ADMIN,
    )
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if name is not None:
                await connection.execute(f"SET TRANSACTION SNAPSHOT '{name}'")
            else:
                name = await connection.fetchval(query("verify", "snapshot"))
            yield connection, name
    finally:
        await connection.close()
