"""The runner on a real Kafka and a real Postgres: each event once, whatever the log holds and however it is stopped."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support.polling import until
from tests.support.projecting import START, Bench, bench, grant, grants
from tests.support.proxy import proxy


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    async with bench(stack.bootstrap_servers, topics, database_url) as made:
        yield made


async def test_every_event_is_applied_once_and_the_checkpoints_reach_the_end(work: Bench) -> None:
    await work.send(grants(range(1, 21), range(50)))
    async with work.running():
        await work.caught_up()
        owners = await work.query("SELECT count(DISTINCT backend_pid) AS lanes, count(DISTINCT owner) FROM checkpoints")
    assert [tuple(row) for row in owners] == [(2, 1)]
    assert await work.counted() == dict.fromkeys(range(1, 21), 50)
    assert (await work.totals())["applied"] == 1000


async def test_a_restart_goes_on_where_the_last_worker_ended(work: Bench) -> None:
    for numbers in (range(10), range(10, 20), range(20, 30)):
        await work.send(grants(range(1, 6), numbers))
        async with work.running():
            await work.caught_up()
    assert await work.counted() == dict.fromkeys(range(1, 6), 30)
    epochs = await work.query("SELECT DISTINCT epoch FROM checkpoints")
    assert {row["epoch"] for row in epochs} >= {3}


async def test_duplicates_are_counted_and_never_applied(work: Bench) -> None:
    first = [grant(user, number) for user in range(1, 6) for number in range(10)]
    await work.send(first + first[:25])  # within a batch
    async with work.running():
        await work.caught_up()
        await work.send(first)  # across batches, from memory
        await work.caught_up()
    await work.send(first)  # across a restart, from the table
    async with work.running():
        await work.caught_up()
    assert await work.counted() == dict.fromkeys(range(1, 6), 10)
    totals = await work.totals()
    assert (totals["applied"], totals["duplicates"]) == (50, 125)


async def test_a_late_duplicate_of_an_hour_long_out_of_memory_is_found(work: Bench) -> None:
    old = [grant(1, number, time=START - timedelta(days=400, hours=number)) for number in range(200)]
    await work.send(old)
    async with work.running():
        await work.caught_up()
    await work.send(grants([1], range(1000, 1010)) + old + [grant(1, 5000, time=START - timedelta(days=400))])
    async with work.running():
        await work.caught_up()
    assert await work.counted() == {1: 211}
    assert (await work.totals())["duplicates"] == 200


async def test_the_same_id_at_another_time_or_from_another_source_is_another_event(work: Bench) -> None:
    event = grant(1, 1)
    other_time = event.model_copy(update={"time": event.time + timedelta(microseconds=1)})
    other_source = event.model_copy(update={"source": "/tests2"})
    await work.send([event, other_time, other_source, event])
    async with work.running():
        await work.caught_up()
    assert await work.counted() == {1: 3}


async def test_poison_is_skipped_counted_and_never_stops_a_partition(work: Bench) -> None:
    poison = [(b"1", b"\xff\xfe"), (b"1", b"{}"), (b"1", b"[" * 500), (b"1", b""), (b"2", b'{"specversion":"1.0"}')]
    await work.send([grant(1, 1), *poison, grant(1, 2)])
    await work.send([(b"1", b"no tier change")], topic=work.topics.tier_changes.name)
    async with work.running():
        await work.caught_up()
    assert await work.counted() == {1: 2}
    totals = await work.totals()
    assert (totals["applied"], totals["invalid"]) == (2, 5)


async def test_a_batch_of_nothing_but_poison_moves_the_checkpoint(work: Bench) -> None:
    await work.send([(b"1", b"poison")] * 3)
    async with work.running():
        await work.caught_up()
    assert await work.counted() == {}


async def test_small_batches_give_the_same_rows(work: Bench) -> None:
    await work.send(grants(range(1, 8), range(9)))
    async with work.running(PROJECTIONS_BATCH_RECORDS=4):
        await work.caught_up()
    assert await work.counted() == dict.fromkeys(range(1, 8), 9)


async def test_sigterm_finishes_the_batch_leaves_and_exits_0(work: Bench) -> None:
    await work.send(grants(range(1, 6), range(10)))
    worker = work.start()
    await work.caught_up()
    worker.signal(signal.SIGTERM)
    assert await worker.ended(10) == 0
    assert await work.counted() == dict.fromkeys(range(1, 6), 10)


async def test_sigterm_while_a_batch_cannot_be_finished_rolls_it_back_and_exits_0(work: Bench) -> None:
    await work.send(grants([1], range(10)))
    blocker = await asyncpg.connect(work.database_url)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE botpulse.counted")
            worker = work.start(PROJECTIONS_LOCK_TIMEOUT_SECONDS="60")

            async def waits() -> bool:
                return bool(await blocker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await until(waits, "the batch to wait")
            worker.signal(signal.SIGTERM)
            assert await worker.ended(12) == 0
    finally:
        await blocker.close()
    assert await work.counted() == {}
    assert (await work.totals())["applied"] == 0


async def test_sigterm_while_postgres_is_away_exits_0(work: Bench) -> None:
    async with proxy(work.database_url) as (line, url):
        worker = work.start(DATABASE_URL=url)
        await work.send(grants([1], range(10)))
        await work.caught_up()
        line.away = True
        line.cut_all()
        await work.send(grants([1], range(10, 20)))
        await until(lambda: "Postgres is away" in worker.said(), "the worker to notice")
        worker.signal(signal.SIGTERM)
        assert await worker.ended(10) == 0
    assert await work.counted() == {1: 10}


@pytest.mark.parametrize("point", ["before_begin", "after_cas", "after_rows", "before_commit", "after_commit"])
async def test_kill_9_around_the_commit_leaves_totals_exact(work: Bench, point: str) -> None:
    await work.send(grants(range(1, 11), range(20)))
    worker = work.start(BOTPULSE_CRASH_POINT=f"{point}:2", PROJECTIONS_BATCH_RECORDS="50")
    assert await worker.ended() == -signal.SIGKILL
    work.start(PROJECTIONS_BATCH_RECORDS="50")
    await work.caught_up()
    assert await work.counted() == dict.fromkeys(range(1, 11), 20)
    assert (await work.totals())["applied"] == 200


async def test_kill_9_at_any_moment_leaves_totals_exact(work: Bench) -> None:
    users = range(1, 31)
    await work.send(grants(users, range(60)))
    for batches in (1, 2, 4):
        worker = work.start(PROJECTIONS_BATCH_RECORDS="97", BOTPULSE_CRASH_POINT=f"after_rows:{batches}")
        assert await worker.ended() == -signal.SIGKILL
    work.start()
    await work.caught_up()
    assert await work.counted() == dict.fromkeys(users, 60)
