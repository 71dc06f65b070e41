"""One projection, or one user: the rows that differ are corrected in the live tables, in one transaction.

Nothing is renamed: views and foreign keys hold the identity of the tables around. Readers see the old rows until the
commit; the live worker waits meanwhile.

A user is folded into tables of the session itself, which hide the live ones of the same names: nothing is left behind,
whatever happens. What is summed over everybody (days, hours, patterns, content) is not corrected with a user.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg

from projections import access
from projections.access import PROJECTOR
from projections.batch import Apply
from projections.checkpoints import Place
from projections.database import connect
from projections.generations.compare import TRAIL, compare
from projections.generations.fence import fenced, positions
from projections.generations.follow import Follower
from projections.generations.layout import LIVE
from projections.generations.plan import Outcome, Plan, Watcher
from projections.generations.reading import Origin, check_stops, count_partitions
from projections.generations.turn import take_turn
from projections.migrations import check_migrated
from projections.registry import PROJECTIONS
from projections.settings import Settings
from projections.sql import query
from schemas.errors import ConfigurationError
from schemas.partitioner import partition_of

_BATCH_RECORDS: Final = 100_000
"""A user's events are folded all at once, but of one who has more."""


def tables_of(projection: str | None) -> tuple[str, ...]:
    """Return the tables of a projection in the order in which their rows may be put; none for None.

    Raises ConfigurationError for a name that no projection has.
    """
    if projection is None:
        return ()
    for known in PROJECTIONS:
        if known.name == projection and set(known.tables) & set(access.matrix().kept):
            raise ConfigurationError(
                f"--projection: {projection} outlives every rebuild: compared with all, never rewritten"
            )
        if known.name == projection:
            return known.tables
    names = ", ".join(known.name for known in PROJECTIONS)
    raise ConfigurationError(f"--projection: there is no projection {projection!r}; there are {names}")


async def correct(
    connection: asyncpg.Connection, source: str, tables: Sequence[str], telegram_id: int | None = None
) -> None:
    """Make these live tables like those of the schema `source`, inside the caller's transaction.

    `tables` in the order in which rows may be put; of one user only where `telegram_id` says so. Raises asyncpg's
    errors.
    """
    await connection.execute(query("generations", "act_as_projector"))
    statements = [
        await connection.fetchrow(query("generations", "corrections"), LIVE, source, table, telegram_id)
        for table in tables
    ]
    for statement in reversed(statements):
        await connection.execute(statement["delete_statement"])
    for statement in statements:
        await connection.execute(statement["put_statement"])


async def rebuild_user(settings: Settings, apply: Apply, telegram_id: int, plan: Plan, watcher: Watcher) -> Outcome:
    """Fold one user's events anew and correct the user's rows, if `plan` says so. Raises as `rebuild` does."""
    control = await take_turn(settings)
    async with AsyncExitStack() as stack:
        stack.callback(control.terminate)
        await check_migrated(control)
        counts = await count_partitions(settings, plan.log)
        session = await connect(
            settings.database_url,
            settings.database_setting,
            application_name="botpulse-rebuild-user",
            lock_timeout_ms=10_000,
            command_seconds=None,
            role=PROJECTOR,
        )
        stack.callback(session.terminate)
        source = await _hide_live_tables(session)
        key = str(telegram_id).encode()
        origin = Origin(settings.bootstrap_servers, plan.log)
        left = 0

        def passed(offsets: int) -> None:
            # What came since the bar began is looked through as well.
            nonlocal left
            watcher.moved(min(offsets, left))
            left -= min(offsets, left)

        reader = await stack.enter_async_context(origin.reader(key, passed))
        follower = Follower(
            settings,
            apply,
            connection=session,
            reader=reader,
            partition_counts=counts,
            batch_records=_BATCH_RECORDS,
        )
        places = _places(settings, counts, key)

        live = _of(await positions(control), places)
        await check_stops(settings, plan.log, live)
        left = sum(live.values())
        watcher.step("folding the user's events", left)
        began = time.monotonic()
        await follower.adopt(live)
        await follower.follow(live)
        folded = time.monotonic()
        async with _met(control, follower, places):
            differences = await compare(session, source, telegram_id=telegram_id)
        agreed = not plan.dry_run and bool(differences) and plan.agree(differences)
        if agreed:
            kept = access.matrix().kept
            tables = [table for projection in PROJECTIONS for table in projection.tables if table not in kept]
            whose = {row["name"] for row in await session.fetch(query("generations", "of_users"))}
            async with _met(control, follower, places), session.transaction():
                await correct(session, source, [table for table in tables if table in whose], telegram_id)
    return Outcome(sum(live.values()), folded - began, 0.0, 0.0, differences, agreed)


@asynccontextmanager
async def _met(control: asyncpg.Connection, follower: Follower, places: Sequence[Place]) -> AsyncIterator[None]:
    """The session's tables where the fenced live ones stand, as far as these partitions go."""
    async with fenced(control) as live:
        stops = _of(live, places)
        await follower.adopt(stops)
        await follower.follow(stops)
        yield


def _of(live: Mapping[Place, int], places: Sequence[Place]) -> dict[Place, int]:
    return {place: live[place] for place in places if place in live}


def _places(settings: Settings, counts: Mapping[str, int], key: bytes) -> list[Place]:
    topics = (settings.topics.events.name, settings.topics.tier_changes.name)
    return [Place(topic, partition_of(key, counts[topic])) for topic in topics]


async def _hide_live_tables(session: asyncpg.Connection) -> str:
    """Give the session tables of its own for all that folds write; returns the name of their schema."""
    rules = access.matrix()
    left = [name for name, entry in rules.generation.items() if entry.kind.migrated]
    left += [name for name in rules.kept if name not in TRAIL | {"refused_events"}]
    for row in await session.fetch(query("generations", "foldable"), left):
        await session.execute(query("generations", "table_of_this_session").format(table=row["name"]))
    return str(await session.fetchval(query("generations", "schema_of_this_session")))
