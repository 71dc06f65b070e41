"""The schemas of the generations: built bare, made complete after the load, dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import asyncpg

from projections import access, sql
from projections.database import SCHEMA
from projections.migrations import build_generation
from schemas.errors import ConfigurationError

LIVE: Final = SCHEMA
NEXT: Final = "botpulse_next"
PREVIOUS: Final = "botpulse_previous"


async def exists(connection: asyncpg.Connection, schema: str) -> bool:
    """Whether there is such a schema."""
    return bool(await connection.fetchval(sql.query("generations", "exists"), schema))


async def drop(connection: asyncpg.Connection, schema: str) -> None:
    """Drop a generation that is not live, if it is there."""
    assert schema in (NEXT, PREVIOUS), "the live generation is dropped by nobody"
    await connection.execute(sql.query("generations", "drop").format(schema=schema))


async def build_bare(connection: asyncpg.Connection) -> list[str]:
    """Create the next generation in place of what a killed rebuild has left; return what `complete` has to make.

    Foreign keys and every index that no constraint needs come after the load: then each is made once, from all rows,
    instead of row by row. Raises ConfigurationError where the owner of the tables may not make a schema.
    """
    await drop(connection, NEXT)
    try:
        return await _build(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"DATABASE_URL: {error}: rights of a database are not copied with it; `botpulse migrate` gives them"
        ) from None


async def _build(connection: asyncpg.Connection) -> list[str]:
    async with connection.transaction():
        await build_generation(connection, NEXT)
        await connection.execute(sql.query("generations", "own_refusals"))
        await connection.execute(sql.query("generations", "own_trail"))
        # So that the statements name every table with its schema.
        await connection.execute(sql.query("generations", "qualify_everything"))
        later = await connection.fetch(sql.query("generations", "made_later"), NEXT)
        for row in later:
            await connection.execute(row["drop_statement"])
    return [row["make_statement"] for row in later]


async def complete(
    connection: asyncpg.Connection, later: Sequence[str], made: Callable[[int], object] = lambda _: None
) -> None:
    """Make the loaded generation like the live one: indexes, foreign keys, rights, statistics for the planner."""
    for number, statement in enumerate(later, 1):
        await connection.execute(statement)
        made(number)
    async with connection.transaction():
        await access.settle(connection, NEXT)
    for row in await connection.fetch(sql.query("generations", "tables"), NEXT):
        await connection.execute(sql.query("generations", "analyze").format(table=row["qualified"]))
