"""Postgres for the commands: connections with one-line errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from projections import sql
from projections.access import ADMIN
from projections.database import COMMAND_SECONDS, connect
from schemas.errors import ConfigurationError

_LOCK_TIMEOUT_MS = 5_000


class NotMigratedError(ConfigurationError):
    """The database answers and has no tables yet."""


@asynccontextmanager
async def database(
    url: str,
    *,
    role: str = ADMIN,
    application_name: str = "botpulse-tools",
    lock_timeout_ms: int = _LOCK_TIMEOUT_MS,
    command_seconds: float | None = COMMAND_SECONDS,
) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a migrated database, acting as a role, by default the admin.

    Raises ConfigurationError, which never shows the password, when nobody answers, the user or password is
    refused, or the database has not been migrated.
    """
    connection = await connect(
        url,
        "DATABASE_URL",
        application_name=application_name,
        lock_timeout_ms=lock_timeout_ms,
        command_seconds=command_seconds,
        role=role,
    )
    try:
        if not await connection.fetchval(sql.query("tools", "is_migrated")):
            raise NotMigratedError("the database of DATABASE_URL has not been migrated: run `botpulse migrate`")
        yield connection
    finally:
        await connection.close()
