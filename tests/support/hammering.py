"""Readers that ask the dashboards' questions without a pause, and keep what they saw."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

MESSAGES = (
    "SELECT (SELECT sum(lifetime_messages) FROM {0}users)::int, "
    "(SELECT sum(messages_received) FROM {0}daily_metrics)::int, (SELECT sum(messages_received) FROM {0}user_days)::int"
)
"""The messages as three tables have them: one generation has one number."""
DASHBOARD = "SELECT sum(lifetime_messages)::int FROM {0}user_dashboard"


@dataclass
class Seen:
    """Every answer, how often; every error; the longest that anybody waited for an answer, in seconds."""

    answers: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    longest: float = 0.0

    def note(self, kind: str, answer: tuple[Any, ...], seconds: float) -> None:
        """Keep one answer."""
        self.answers[(kind, *answer)] += 1
        self.longest = max(self.longest, seconds)


@contextlib.asynccontextmanager
async def hammered(database_url: str) -> AsyncIterator[Seen]:
    """Readers at work: prepared once, prepared anew each time, by the simple protocol, in a transaction's snapshot."""
    seen = Seen()
    connections = [
        await asyncpg.connect(database_url, server_settings={"search_path": "botpulse, public"}) for _ in range(5)
    ]
    kinds = (_prepared, _anew, _dashboard, _simple, _in_a_snapshot)
    stopping = asyncio.Event()
    readers = [
        asyncio.create_task(_read(kind, connection, seen, stopping))
        for kind, connection in zip(kinds, connections, strict=True)
    ]
    try:
        yield seen
    finally:
        stopping.set()
        await asyncio.gather(*readers)
        for connection in connections:
            await connection.close()


async def _read(kind: Any, connection: asyncpg.Connection, seen: Seen, stopping: asyncio.Event) -> None:
    try:
        ask = await kind(connection)
        while not stopping.is_set():
            began = time.monotonic()
            answer = await ask()
            seen.note(kind.__name__, tuple(answer), time.monotonic() - began)
            # A hundred times a second: five readers without any pause would take a core.
            await asyncio.sleep(0.01)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        seen.errors.append(f"{kind.__name__}: {type(error).__name__}: {error}")


async def _prepared(connection: asyncpg.Connection) -> Any:
    statement = await connection.prepare(MESSAGES.format(""))
    return statement.fetchrow


async def _anew(connection: asyncpg.Connection) -> Any:
    async def ask() -> Any:
        statement = await connection.prepare(MESSAGES.format("botpulse."))
        return await statement.fetchrow()

    return ask


async def _dashboard(connection: asyncpg.Connection) -> Any:
    statement = await connection.prepare(DASHBOARD.format("botpulse."))
    return statement.fetchrow


async def _simple(connection: asyncpg.Connection) -> Any:
    async def ask() -> Any:
        # An empty table is a division by zero.
        await connection.execute("SELECT 1 / count(*) FROM users; SELECT 1 / count(*) FROM botpulse.user_days")
        return ()

    return ask


async def _in_a_snapshot(connection: asyncpg.Connection) -> Any:
    async def ask() -> Any:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            first = await connection.fetchval("SELECT sum(lifetime_messages)::int FROM users")
            await asyncio.sleep(0.005)
            return (first, await connection.fetchval("SELECT sum(messages_received)::int FROM botpulse.daily_metrics"))

    return ask
