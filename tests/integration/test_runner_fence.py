"""The fence: two writers of one partition, frozen ones, and commits whose answer was lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.local import StackInfo
from projections import checkpoints
from projections.checkpoints import Lease, Move, Place
from projections.database import is_away, open_connection
from schemas.errors import FencedOut
from schemas.topics import Topics
from tests.support.polling import until
from tests.support.projecting import Bench, Worker, bench, grants
from tests.support.proxy import Fault, proxy

PLACE = Place("bot.events", 0)
USERS = range(1, 11)


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    async with bench(stack.bootstrap_servers, topics, database_url) as made:
        yield made


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[list[asyncpg.Connection]]:
    made = [await open_connection(database_url, application_name="test", lock_timeout_ms=300) for _ in range(2)]
    yield made
    for connection in made:
        connection.terminate()


def move(lease: Lease, next_offset: int, expected_offset: int | None = None) -> Move:
    expected = lease.next_offset if expected_offset is None else expected_offset
    return Move(lease.place, lease.epoch, expected, next_offset, None, None, next_offset, 0, 0)


async def test_only_the_last_claim_may_write(connections: list[asyncpg.Connection]) -> None:
    old_writer, new_writer = connections
    old = await checkpoints.claim(old_writer, PLACE, "old")
    await checkpoints.advance(old_writer, [move(old, 10)])
    new = await checkpoints.claim(new_writer, PLACE, "new")
    assert (new.epoch, new.next_offset) == (old.epoch + 1, 10)
    with pytest.raises(FencedOut, match=r"bot\.events/0"):
        await checkpoints.advance(old_writer, [move(old, 20, expected_offset=10)])
    await checkpoints.advance(new_writer, [move(new, 20)])


async def test_one_partition_lost_stops_the_whole_batch(connections: list[asyncpg.Connection]) -> None:
    old_writer, new_writer = connections
    other = await checkpoints.claim(old_writer, Place("bot.events", 1), "old")
    lost = await checkpoints.claim(old_writer, PLACE, "old")
    await checkpoints.claim(new_writer, PLACE, "new")
    with pytest.raises(FencedOut):
        async with old_writer.transaction():
            await checkpoints.advance(old_writer, [move(other, 5), move(lost, 5)])
    assert await checkpoints.renew(old_writer, other) == 0


async def test_a_batch_that_begins_elsewhere_is_fenced_out(connections: list[asyncpg.Connection]) -> None:
    lease = await checkpoints.claim(connections[0], PLACE, "me")
    await checkpoints.advance(connections[0], [move(lease, 10)])
    with pytest.raises(FencedOut):
        await checkpoints.advance(connections[0], [move(lease, 20)])


async def test_a_claim_waits_for_an_open_batch_and_sees_its_end(connections: list[asyncpg.Connection]) -> None:
    old_writer, new_writer = connections
    await new_writer.execute("SET lock_timeout = '10s'")
    old = await checkpoints.claim(old_writer, PLACE, "old")
    transaction = old_writer.transaction()
    await transaction.start()
    await checkpoints.advance(old_writer, [move(old, 10)])
    claim = asyncio.create_task(checkpoints.claim(new_writer, PLACE, "new"))

    async def waits() -> bool:
        return bool(await old_writer.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    await until(waits, "the claim to wait")
    await transaction.commit()
    assert (await claim).next_offset == 10


async def test_a_claim_ends_the_backend_of_a_frozen_owner(connections: list[asyncpg.Connection]) -> None:
    frozen, successor = connections
    old = await checkpoints.claim(frozen, PLACE, "old")
    await frozen.execute("BEGIN")
    await checkpoints.advance(frozen, [move(old, 10)])
    new = await checkpoints.claim(successor, PLACE, "new")
    assert (new.epoch, new.next_offset) == (old.epoch + 1, 0)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)) as lost:
        await frozen.execute("COMMIT")
    assert is_away(lost.value, frozen)
    assert await checkpoints.renew(successor, new) == 0


async def replaced(work: Bench, freeze_point: str) -> Worker:
    """A worker that froze there, and whose successor has applied all that was on the log and more."""
    await work.send(grants(USERS, range(20)))
    zombie = work.start(BOTPULSE_FREEZE_POINT=freeze_point, PROJECTIONS_BATCH_RECORDS="100")
    await zombie.frozen()
    work.start(PROJECTIONS_BATCH_RECORDS="100")
    await work.caught_up()
    await work.send(grants(USERS, range(20, 25)))
    await work.caught_up()
    return zombie


async def test_a_worker_that_froze_before_its_batch_is_fenced_out(work: Bench) -> None:
    zombie = await replaced(work, "before_begin:2")
    zombie.signal(signal.SIGCONT)
    assert await zombie.ended() == 1
    assert "another worker took over" in zombie.last_line()
    assert "Traceback" not in zombie.said()
    assert await work.counted() == dict.fromkeys(USERS, 25)
    assert (await work.totals())["applied"] == 250


# Its backend was terminated, so that the successor could go on; inside COPY neither the idle nor the statement timeout
# of the database would ever have ended it. What the worker meets first decides whether it ends or joins again.
@pytest.mark.parametrize("point", ["after_cas:2", "in_copy:120", "before_commit:2"])
async def test_a_worker_that_froze_inside_its_batch_writes_nothing_of_it(work: Bench, point: str) -> None:
    zombie = await replaced(work, point)
    zombie.signal(signal.SIGCONT)
    await until(lambda: "Postgres is away" in zombie.said(), "the zombie to notice")
    await work.send(grants(USERS, range(25, 30)))
    await work.caught_up()
    assert await work.counted() == dict.fromkeys(USERS, 30)
    assert (await work.totals())["applied"] == 300
    if zombie.process.poll() is not None:
        assert zombie.process.returncode == 1
        assert "another w" in zombie.last_line()
    assert "Traceback" not in zombie.said()


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.LEFT_OPEN])
async def test_a_commit_of_unknown_outcome_is_neither_lost_nor_doubled(work: Bench, fault: Fault) -> None:
    async with proxy(work.database_url) as (line, url):
        async with work.running(DATABASE_URL=url):
            await work.send(grants(USERS, range(10)))
            await work.caught_up()
            for done in (1, 2, 3):
                line.fault = fault
                await work.send(grants(USERS, range(done * 10, done * 10 + 10)))
                await work.caught_up()
                assert line.faults_done == done
        assert await work.counted() == dict.fromkeys(USERS, 40)
        assert (await work.totals())["applied"] == 400


async def test_terminated_backends_lose_and_double_nothing(work: Bench) -> None:
    end_backends = (
        "SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity"
        " WHERE application_name = 'botpulse-projections' AND datname = current_database()"
    )
    async with work.running(PROJECTIONS_BATCH_RECORDS=20):
        for number in range(10):
            await work.send(grants(USERS, range(number * 20, number * 20 + 20)))
            await work.query(end_backends)
        await work.caught_up()
    assert await work.counted() == dict.fromkeys(USERS, 200)


async def test_postgres_away_nothing_is_skipped_and_readiness_is_red(work: Bench) -> None:
    async with proxy(work.database_url) as (line, url):
        async with work.running(DATABASE_URL=url):
            await work.send(grants(USERS, range(10)))
            await work.caught_up()
            await until(lambda: not work.health.problems(), "readiness")
            line.away = True
            line.cut_all()
            await work.send(grants(USERS, range(10, 20)))
            await until(lambda: any("Postgres" in problem for problem in work.health.problems()), "red readiness")
            line.away = False
            await work.caught_up()
            await until(lambda: not work.health.problems(), "readiness")
        assert await work.counted() == dict.fromkeys(USERS, 20)


async def test_workers_that_join_and_leave_lose_and_double_nothing(work: Bench) -> None:
    sent = 0

    async def send() -> None:
        nonlocal sent
        await work.send(grants(USERS, range(sent, sent + 40)))
        sent += 40

    async with work.running(PROJECTIONS_BATCH_RECORDS=30):
        await send()
        async with work.running(PROJECTIONS_BATCH_RECORDS=30):
            await send()
            async with work.running(PROJECTIONS_BATCH_RECORDS=30):
                await send()
            await send()
        await send()
        await work.caught_up()
    assert await work.counted() == dict.fromkeys(USERS, sent)
