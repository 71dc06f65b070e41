"""The swap: in one short transaction the next generation takes the place of the live one, by renaming their schemas.

Every table and view of the live generation is locked before anything is renamed. So no statement is under way in it,
and one that has just begun waits and then looks its names up again: it sees the old tables or the new ones, never both.
The locks are asked for with a short timeout, again and again: whoever reads for long is waited for, and nobody else
waits behind him for longer than one attempt.

A transaction that is older than the build and has a snapshot of its own (REPEATABLE READ, a long query) would see the
new tables empty: the swap waits for its end, or names it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import asyncpg

from projections import access
from projections.checkpoints import as_login
from projections.generations import layout
from projections.generations.fence import Busy, align, draw_close, fenced
from projections.generations.follow import Follower
from projections.generations.layout import LIVE, NEXT, PREVIOUS
from projections.generations.plan import WAIT_SECONDS
from projections.generations.turn import RebuildError
from projections.sql import query

LOCK_MS: Final = 50
"""How long one attempt waits for its locks: what a reader waits at most behind a swap that has to wait itself."""
ATTEMPTS: Final = 8
"""Attempts while the live worker is fenced; then it goes on for a while."""
PAUSE_SECONDS: Final = (0.02, 0.08)

Tell = Callable[[str], object]


async def swap(
    connection: asyncpg.Connection,
    follower: Follower,
    built_at: datetime,
    *,
    wait_seconds: float = WAIT_SECONDS,
    tell: Tell = lambda _: None,
) -> None:
    """Put the next generation in place of the live one, which becomes the previous one.

    `built_at` is when the last of its tables was complete. Raises RebuildError, naming who is in the way, when that
    can't be done within `wait_seconds`; nothing is changed then.
    """
    await layout.drop(connection, PREVIOUS)
    await _exchange(connection, NEXT, wait_seconds, tell, follower, built_at)


async def roll_back(
    connection: asyncpg.Connection, *, wait_seconds: float = WAIT_SECONDS, tell: Tell = lambda _: None
) -> None:
    """Put the previous generation back in the live one's place, which becomes the previous one.

    The live worker goes on from the checkpoints of the generation that is back: it folds what happened since. Raises
    RebuildError where there is none, or migrations have been applied since, or somebody is in the way.
    """
    if not await layout.exists(connection, PREVIOUS):
        raise RebuildError("there is no previous generation to go back to: it was dropped, or nothing was ever swapped")
    await layout.drop(connection, NEXT)
    await _exchange(connection, PREVIOUS, wait_seconds, tell)


async def _exchange(
    connection: asyncpg.Connection,
    coming: str,
    wait_seconds: float,
    tell: Tell,
    follower: Follower | None = None,
    built_at: datetime | None = None,
) -> None:
    kept = access.matrix()
    if await connection.fetchval(
        query("generations", "shapes_differ"), LIVE, coming, list(kept.kept), list(kept.kept_functions)
    ):
        raise RebuildError(
            f"the generation in {coming} has other columns or functions than the live one: migrations were applied "
            "since it was built; run `botpulse rebuild`"
        )
    deadline = time.monotonic() + wait_seconds
    told = ""
    while True:
        in_the_way = await _older_transactions(connection, built_at) if built_at is not None else []
        if not in_the_way:
            if follower is not None:
                await draw_close(connection, follower)
            try:
                async with fenced(connection) as live:
                    if follower is not None:
                        await align(follower, live)
                    await _lock_all(connection, coming)
                    await _rename(connection, coming)
                return  # noqa: TRY300
            except Busy:
                in_the_way = await _holders(connection)
        names = "; ".join(in_the_way) or "the live worker's batches"
        if time.monotonic() > deadline:
            raise RebuildError(
                f"the swap waited {wait_seconds:g} s for {names}; nothing was changed. End it, or try again later or "
                "with a longer --wait"
            )
        if names != told:
            tell(f"the swap waits for {names}")
            told = names
        await asyncio.sleep(random.uniform(*PAUSE_SECONDS) * 5)  # noqa: S311


async def _older_transactions(connection: asyncpg.Connection, built_at: datetime) -> list[str]:
    async with as_login(connection):
        rows = await connection.fetch(query("generations", "older_transactions"), built_at)
    return [_named(row) for row in rows]


async def _holders(connection: asyncpg.Connection) -> list[str]:
    async with as_login(connection):
        rows = await connection.fetch(query("generations", "holders"))
    return [_named(row) for row in rows]


def _named(row: asyncpg.Record) -> str:
    who = row["application_name"] or "a program without a name"
    since = f", open since {row['xact_start']:%Y-%m-%d %H:%M:%S} UTC" if row["xact_start"] else ""
    return f"database process {row['pid']} ({who}, user {row['usename']}, {row['state'] or 'busy'}{since})"


async def _lock_all(connection: asyncpg.Connection, coming: str) -> None:
    """Take every table and view of both generations for ourselves; raises Busy where somebody reads on."""
    relations = [row["qualified"] for row in await connection.fetch(query("generations", "relations"), [LIVE, coming])]
    statement = query("generations", "lock").format(tables=", ".join(relations))
    for _ in range(ATTEMPTS):
        try:
            async with connection.transaction():
                # Not lock_timeout, which would hold for each of them anew.
                await connection.execute(query("generations", "give_up_after").format(milliseconds=LOCK_MS))
                await connection.execute(statement)
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311
        else:
            await connection.execute(query("generations", "give_up_after").format(milliseconds=0))
            return
    raise Busy("the tables are in use")


async def _rename(connection: asyncpg.Connection, coming: str) -> None:
    """The last steps, with everything locked: refused events, kept tables, epochs, names."""
    await connection.execute(query("generations", "outlast_epochs").format(coming=coming))
    for statement in (
        "keep_decisions",
        "old_refusals",
        "forget_old_refusals",
        "new_refusals",
        "drop_own_refusals",
        "drop_own_trail",
    ):
        await connection.execute(query("generations", statement).format(coming=coming))
    for table in access.matrix().kept:
        await connection.execute(query("generations", "carry_over").format(kind="TABLE", name=table, coming=coming))
    for function in access.matrix().kept_functions:
        await connection.execute(
            query("generations", "carry_over").format(kind="FUNCTION", name=function, coming=coming)
        )
    await connection.execute(query("generations", "leave_old_refusals"))
    for old, new in ((LIVE, "botpulse_leaving"), (coming, LIVE), ("botpulse_leaving", PREVIOUS)):
        await connection.execute(query("generations", "rename").format(old=old, new=new))
