"""Both generations at one position: the live worker waits for a moment, the next generation folds what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import structlog

from projections.checkpoints import Place
from projections.generations.follow import Follower, Moved
from projections.generations.turn import RebuildError
from projections.sql import query

FENCE_SECONDS: Final = 2.0
"""How long the live worker waits at most, less than its lock_timeout: so it does not even notice."""
SILENT_SECONDS = 30.0
"""How long whoever holds the fence may ask nothing of the database: a frozen rebuild must not hold up everybody."""
CLOSE: Final = 5_000
"""With fewer records to fold the rest can be folded while the live worker waits."""
ATTEMPTS: Final = 50

log = structlog.get_logger(__name__)


class Busy(RebuildError):  # noqa: N818
    """The fence had to be given up: what it was held for took too long. It may be tried again."""


async def positions(connection: asyncpg.Connection) -> dict[Place, int]:
    """Where the live generation stands."""
    rows = await connection.fetch(query("generations", "positions"))
    return {Place(row["topic"], row["partition"]): row["next_offset"] for row in rows}


@asynccontextmanager
async def fenced(connection: asyncpg.Connection) -> AsyncIterator[dict[Place, int]]:
    """In a transaction in which no batch of the live generation begins or ends; yields where it stands.

    Readers notice nothing. Raises Busy where a batch or somebody else's lock does not end in time.
    """
    async with connection.transaction():
        try:
            await connection.execute(
                query("generations", "fence").format(
                    milliseconds=int(FENCE_SECONDS * 1000), silent_milliseconds=int(SILENT_SECONDS * 1000)
                )
            )
        except asyncpg.LockNotAvailableError:
            raise Busy("somebody else holds the live checkpoints; try again") from None
        yield await positions(connection)


async def draw_close(connection: asyncpg.Connection, follower: Follower, moved: Moved = lambda _: None) -> None:
    """Follow the live generation until little is missing. Claims what the live one has begun meanwhile."""
    while True:
        live = await positions(connection)
        await follower.adopt(live)
        if follower.missing(live) <= CLOSE:
            return
        await follower.follow(live, moved)


async def align(follower: Follower, live: Mapping[Place, int]) -> None:
    """Bring the next generation to where the fenced live one stands; raises Busy where that takes too long."""
    await follower.adopt(live)
    try:
        async with asyncio.timeout(FENCE_SECONDS):
            await follower.follow(live)
    except TimeoutError:
        # Whether the last batch was committed is known after a new claim.
        await follower.claim(live)
        raise Busy("the last events could not be folded in time; try again") from None


@asynccontextmanager
async def aligned(connection: asyncpg.Connection, follower: Follower) -> AsyncIterator[None]:
    """Both generations at one position, the live one fenced. Raises RebuildError where that can't be had."""
    for _ in range(ATTEMPTS):
        await draw_close(connection, follower)
        try:
            async with fenced(connection) as live:
                await align(follower, live)
                yield
                return
        except Busy as error:
            log.info("the live worker goes on before the next attempt", why=str(error))
    raise RebuildError("the live generation could not be met at one position: its batches leave no gap")
