"""One rebuild at a time in a database: whoever holds the session's advisory lock."""

from __future__ import annotations

import asyncpg

from projections.access import OWNER
from projections.checkpoints import as_login, owner_name
from projections.database import connect
from projections.settings import Settings
from projections.sql import query
from schemas.errors import BotpulseError

APPLICATION = "botpulse-rebuild"


class RebuildError(BotpulseError):
    """A rebuild, swap or rollback could not be done; the live tables are as they were."""


async def take_turn(settings: Settings) -> asyncpg.Connection:
    """Return a session that acts as the owner of all tables and is the only one that rebuilds, while it lasts.

    Raises ConfigurationError for a database that can't be used, RebuildError naming who holds the turn.
    """
    connection = await connect(
        settings.database_url,
        settings.database_setting,
        # What a second rebuild is told; Postgres keeps 63 bytes of it.
        application_name=f"{APPLICATION} {owner_name()}"[:63],
        lock_timeout_ms=10_000,
        command_seconds=None,
        role=OWNER,
    )
    if await connection.fetchval(query("generations", "take_turn")):
        return connection
    try:
        async with as_login(connection):
            holder = await connection.fetchrow(query("generations", "who_has_the_turn"))
    finally:
        connection.terminate()
    if holder is None:
        raise RebuildError("another rebuild has just ended; try again")
    name = holder["application_name"] or "another user's session"
    since = f", since {holder['backend_start']:%H:%M:%S} UTC" if holder["backend_start"] else ""
    raise RebuildError(
        f"a rebuild is running already: {name.removeprefix(APPLICATION).strip() or name} (database process "
        f"{holder['pid']}{since}); one at a time, nothing was changed"
    )
