"""A rebuild of everything: the next generation built from the beginning of the log, compared, and swapped in.

    1  turn       one rebuild at a time
    2  build      an empty generation in botpulse_next, without what is dear to keep up row by row
    3  fold       the log up to where the live generation stands, by several processes
    4  complete   indexes, foreign keys, rights, statistics
    5  meet       the live worker waits a moment, the last events are folded: both generations at one position
    6  compare    row by row, in one snapshot, while live writes go on
    7  agree      whoever asked for the rebuild sees the difference
    8  swap       catch up once more, then rename, in one short transaction

Nothing leaves the system: no letters, no tier changes. The live tables are not touched before step 8, and whatever
happens before it leaves at most the schema botpulse_next, which the next rebuild drops.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

import asyncpg

from projections.access import OWNER, PROJECTOR
from projections.batch import Apply
from projections.database import connect
from projections.generations import bulk, layout, swap
from projections.generations.compare import TRAIL, Difference, compare, snapshot
from projections.generations.fence import aligned, draw_close, positions
from projections.generations.follow import Follower, connect_to_next
from projections.generations.moved import Moved, moved_by_redrives
from projections.generations.parts import correct, tables_of
from projections.generations.plan import Outcome, Plan, Watcher
from projections.generations.reading import Origin, check_stops, count_partitions
from projections.generations.turn import RebuildError, take_turn
from projections.migrations import check_migrated
from projections.settings import Settings
from projections.sources.broker import BrokerAddress
from projections.sql import query


async def rebuild(settings: Settings, apply: Apply, plan: Plan, watcher: Watcher) -> Outcome:
    """Build, compare, and swap if `plan` says so.

    Raises ConfigurationError, RebuildError (another rebuild runs; somebody is in the way of the swap; the database went
    away), ServiceStopped (a process failed); the live tables are as they were then.
    """
    control = await take_turn(settings)
    try:
        await check_migrated(control)
        counts = await count_partitions(settings, plan.log)
        watcher.step("building empty tables", 0)
        later = await layout.build_bare(control)
        try:
            return await _fill(settings, apply, plan, watcher, control, counts, later)
        finally:
            if not control.is_closed():
                await layout.drop(control, layout.NEXT)
    except (asyncpg.PostgresConnectionError, asyncpg.IdleInTransactionSessionTimeoutError, asyncpg.InterfaceError) as e:
        raise RebuildError(f"the database has ended a session of the rebuild ({e}): run it again") from e
    finally:
        control.terminate()


async def _fill(
    settings: Settings,
    apply: Apply,
    plan: Plan,
    watcher: Watcher,
    control: asyncpg.Connection,
    counts: Mapping[str, int],
    later: Sequence[str],
) -> Outcome:
    tables = tables_of(plan.projection)
    stops = await positions(control)
    await check_stops(settings, plan.log, stops)
    total = sum(stops.values())
    watcher.step("folding the log", total)
    began = time.monotonic()
    origin = Origin(settings.bootstrap_servers, plan.log)
    await bulk.fold(
        settings, origin, apply, partition_counts=counts, stops=stops, workers=plan.workers, moved=watcher.moved
    )
    folded = time.monotonic()
    watcher.step("indexes and foreign keys", len(later))
    await layout.complete(control, later, lambda _: watcher.moved(1))
    completed = time.monotonic()
    async with _follower(settings, origin, apply, counts) as follower:
        await follower.claim(stops)
        live = await positions(control)
        await follower.adopt(live)
        watcher.step("catching up", follower.missing(live))
        await draw_close(control, follower, watcher.moved)
        built_at: datetime = await control.fetchval(query("generations", "now"))
        compared = time.monotonic()
        differences, moved = await _compare(settings, control, follower, watcher, tables, plan)
        compare_seconds = time.monotonic() - compared
        if plan.projection is None:
            agreed = not plan.dry_run and (not differences or plan.agree(differences))
        else:
            agreed = not plan.dry_run and bool(differences) and plan.agree(differences)
        if agreed and plan.projection is None:
            watcher.step("swapping", 0)
            await swap.swap(control, follower, built_at, wait_seconds=plan.wait_seconds, tell=watcher.tell)
        elif agreed:
            watcher.step("correcting", 0)
            async with aligned(control, follower):
                await correct(control, layout.NEXT, tables)
    return Outcome(total, folded - began, completed - folded, compare_seconds, differences, agreed, moved)


@asynccontextmanager
async def _follower(
    settings: Settings, origin: Origin, apply: Apply, counts: Mapping[str, int]
) -> AsyncIterator[Follower]:
    connection = await connect_to_next(settings, "botpulse-rebuild-follower", PROJECTOR)
    try:
        async with origin.reader() as reader:
            yield Follower(settings, apply, connection=connection, reader=reader, partition_counts=counts)
    finally:
        connection.terminate()


async def _compare(
    settings: Settings,
    control: asyncpg.Connection,
    follower: Follower,
    watcher: Watcher,
    tables: Sequence[str],
    plan: Plan,
) -> tuple[list[Difference], list[Moved]]:
    connection = await connect(
        settings.database_url,
        settings.database_setting,
        application_name="botpulse-rebuild-compare",
        lock_timeout_ms=0,
        command_seconds=None,
        role=OWNER,
    )
    try:
        async with AsyncExitStack() as stack:
            async with aligned(control, follower):
                await stack.enter_async_context(snapshot(connection))
            watcher.step("comparing", 0)
            differences = await compare(connection, layout.NEXT, tables=tables, span=plan.span)
            if not TRAIL & {difference.table for difference in differences}:
                return differences, []
            address = plan.log or BrokerAddress(settings.bootstrap_servers)
            source = await stack.enter_async_context(address.open())
            moved = await moved_by_redrives(connection, layout.NEXT, source)
            if moved is None:
                return differences, []
            return [difference for difference in differences if difference.table not in TRAIL], moved
    finally:
        connection.terminate()
