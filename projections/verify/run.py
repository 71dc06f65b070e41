"""The whole comparison: at one consistent position, partition by partition, then what all of them add up to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from projections.migrations import check_migrated
from projections.sources.source import LogAddress, LogSource, check_reach
from projections.sql import query
from projections.verify.differences import NO_ROW, Difference, Differences, compare
from projections.verify.history import Verdict
from projections.verify.partition import (
    USER_TABLES,
    USERS_AT_ONCE,
    Job,
    Part,
    Selection,
    rows_of,
    stored_records,
    verify_partition,
)
from projections.verify.processes import verify_in_processes
from projections.verify.retention import Horizons, kept
from projections.verify.rows import SHARED, stored_row
from projections.verify.session import snapshot, without_collector
from projections.verify.shared import Shared
from projections.verify.shared_evidence import add_events
from projections.verify.user import User
from schemas.partitioner import partition_of
from schemas.topics import Topics

_RECORDS_A_WORKER: Final = 200_000
"""With fewer, another process costs more than it brings."""

Progress = Callable[[int, int], None]
"""Takes how many records are read, and of how many."""


@dataclass
class Outcome:
    """What was compared, and every difference."""

    positions: dict[str, dict[int, int]]
    """Up to where each partition was folded, by topic."""
    records: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    users: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Compared rows by table."""
    aggregates: int = 0
    aggregates_elsewhere: int = 0
    """Users whose aggregate could not be compared: streams stands at another event of theirs."""
    differences: Differences = field(default_factory=Differences)


async def verify(
    database_url: str,
    log: LogAddress,
    topics: Topics,
    *,
    selection: Selection = Selection(),  # noqa: B008
    aggregates: bool = True,
    workers: int | None = 1,
    progress: Progress = lambda _done, _total: None,
) -> Outcome:
    """Fold `log` up to the checkpoints of the database a second time, and compare every table with it.

    Checkpoints and tables are read in one snapshot, so live work beneath changes nothing. `aggregates` says whether the
    log also has what streams has folded. With more than one worker the partitions are divided between so many
    processes; None takes as many as pay.

    Raises ConfigurationError where log and database can't be read, or don't belong together.
    """
    with without_collector():
        return await _verify(database_url, log, topics, selection, aggregates, workers, progress)


async def _verify(
    database_url: str,
    log: LogAddress,
    topics: Topics,
    selection: Selection,
    aggregates: bool,
    workers: int | None,
    progress: Progress,
) -> Outcome:
    async with snapshot(database_url) as (connection, name), log.open() as source:
        jobs, counted, outcome = await _plan(connection, source, topics, selection, aggregates)
        # Letters are of nobody: with less than everybody they are not read.
        read = [topics.events, topics.tier_changes, *([topics.dead_letters] if selection.is_all else [])]
        total = sum(job.ends[topic.name] for job in jobs for topic in read)
        if workers is None:
            workers = min(os.cpu_count() or 1, 1 + total // _RECORDS_A_WORKER)
        if workers > 1 and len(jobs) > 1:
            parts = await verify_in_processes(
                database_url, log, name, jobs, workers, lambda done: progress(done, total)
            )
        else:
            done = 0

            def count(records: int) -> None:
                nonlocal done
                done += records
                progress(done, total)

            parts = [await verify_partition(job, source, connection, count) for job in jobs]
        await _finish(connection, outcome, parts, selection, counted, topics, jobs[0].horizons, aggregates=aggregates)
        events = topics.events.name
        ends = {job.partition: job.ends[events] for job in jobs}
        outcome.differences.kept = await add_events(source, events, ends, outcome.differences.kept)
    return outcome


async def _plan(
    connection: asyncpg.Connection, source: LogSource, topics: Topics, selection: Selection, aggregates: bool
) -> tuple[list[Job], Mapping[int, Mapping[str, int]], Outcome]:
    await check_migrated(connection)
    read = [topics.events.name, topics.tier_changes.name, topics.dead_letters.name]
    checkpoints = await connection.fetch(query("verify", "checkpoints"), read)
    positions: dict[str, dict[int, int]] = {topic: {} for topic in read}
    for row in checkpoints:
        positions[row["topic"]][row["partition"]] = row["next_offset"]
    counted = {row["partition"]: row for row in checkpoints if row["topic"] == topics.events.name}
    refused = await refused_offsets(connection, topics, counted)
    horizons = dict(await connection.fetch(query("verify", "horizons")))
    bounds = {topic: await source.bounds(topic) for topic in read}
    for topic in read:
        check_reach(topic, positions[topic], bounds[topic])
    streams = topics.user_aggregates.name
    aggregate_ends = {p: b.end for p, b in (await source.bounds(streams)).items()} if aggregates else {}
    jobs = []
    count = len(bounds[topics.events.name])
    wanted = range(count) if selection.key is None else [partition_of(selection.key, count)]
    for partition in wanted:
        ends = {topic: positions[topic].get(partition, 0) for topic in read}
        if aggregates:
            ends[streams] = aggregate_ends.get(partition, 0)
        jobs.append(Job(topics, partition, count, ends, refused.get(partition, frozenset()), selection, horizons))
    return jobs, counted, Outcome(positions)


async def refused_offsets(
    connection: asyncpg.Connection, topics: Topics, checkpoints: Mapping[int, Mapping[str, int]]
) -> dict[int, frozenset[int]]:
    """Return by partition the offsets of events whose rows the database refused, in this generation of the tables.

    What was refused is remembered for longer than a generation lives: one whose checkpoint (`checkpoints`, by
    partition) counts none has met none of them.
    """
    found: dict[int, set[int]] = {}
    for row in await connection.fetch(query("verify", "refused_events"), topics.events.name):
        if checkpoints.get(row["partition"], {}).get("refused"):
            found.setdefault(row["partition"], set()).add(row["log_offset"])
    return {partition: frozenset(offsets) for partition, offsets in found.items()}


async def _finish(
    connection: asyncpg.Connection,
    outcome: Outcome,
    parts: Sequence[Part],
    selection: Selection,
    counted: Mapping[int, Mapping[str, int]],
    topics: Topics,
    horizons: Horizons,
    *,
    aggregates: bool,
) -> None:
    shared, seen = Shared(), set[int]()
    for part in parts:
        outcome.records += part.records
        outcome.verdicts.update(part.verdicts)
        outcome.rows.update(part.rows)
        outcome.aggregates += part.aggregates
        outcome.aggregates_elsewhere += len(part.users) - part.aggregates if aggregates else 0
        outcome.differences.merge(part.differences)
        shared.merge(part.shared)
        seen |= part.users
    outcome.users = len(seen)
    if not selection.is_all:
        return
    await _compare_stubs(connection, outcome, sorted(shared.referrers - seen), horizons)
    known = seen | shared.referrers
    for row in await connection.fetch(query("verify", "all_users")):
        if row["telegram_id"] not in known:
            outcome.differences.add(Difference("users", dict(row), None, "a row", NO_ROW))
    folded = shared.rows()
    for table in sorted(SHARED):
        records = await connection.fetch(query("verify", table))
        stored = kept(table, dict(stored_row(table, record) for record in records), horizons)
        outcome.rows[table] += len(stored)
        for _, difference in compare(table, stored, kept(table, folded[table], horizons)):
            outcome.differences.add(difference)
    await _compare_counts(connection, outcome, parts, counted, topics)
    await _compare_trail_rows(connection, outcome)


async def _compare_stubs(
    connection: asyncpg.Connection, outcome: Outcome, stubs: Sequence[int], horizons: Horizons
) -> None:
    """Referrers of whom nothing else is known have a row, and nothing in it."""
    for start in range(0, len(stubs), USERS_AT_ONCE):
        chunk = stubs[start : start + USERS_AT_ONCE]
        folded = rows_of([User(telegram_id) for telegram_id in chunk], horizons)
        for table in USER_TABLES:
            records = await stored_records(connection, table, chunk, horizons)
            outcome.rows[table] += len(records)
            for _, difference in compare(table, dict(stored_row(table, row) for row in records), folded[table]):
                outcome.differences.add(difference)


async def _compare_trail_rows(connection: asyncpg.Connection, outcome: Outcome) -> None:
    """The trail has no rows but those of the users that were compared."""
    places = [(t, partition, end) for t, ends in outcome.positions.items() for partition, end in ends.items()]
    if not places:
        return
    stored = await connection.fetchval(query("verify", "audit_log_rows"), *map(list, zip(*places, strict=True)))
    if stored != outcome.rows["audit_log"]:
        outcome.differences.add(Difference("audit_log", {}, "rows", stored, outcome.rows["audit_log"]))


async def _compare_counts(
    connection: asyncpg.Connection,
    outcome: Outcome,
    parts: Sequence[Part],
    counted: Mapping[int, Mapping[str, int]],
    topics: Topics,
) -> None:
    """Every partition has applied as many events as the log has, and remembers as many."""
    digests = {row["partition"]: row["events"] for row in await connection.fetch(query("verify", "digests"))}
    for part in parts:
        applied = part.verdicts[Verdict.COUNTED.value] + part.verdicts[Verdict.CONFLICT.value]
        key: dict[str, Any] = {"topic": topics.events.name, "partition": part.partition}
        stored = counted.get(part.partition, {}).get("events_applied", 0)
        if stored != applied:
            outcome.differences.add(Difference("checkpoints", key, "events_applied", stored, applied))
        if digests.get(part.partition, 0) != applied:
            outcome.differences.add(
                Difference("applied_events", key, "digests", digests.get(part.partition, 0), applied)
            )
