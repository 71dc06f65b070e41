"""`botpulse wait` on a real Kafka and Postgres, with the services' positions written by the tests."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local import StackInfo
from deploy.waiting import NotAppliedError, Progress, wait_applied
from schemas.topics import Topics
from tests.support.cli import botpulse
from tests.support.polling import until

EVENT = json.dumps({"subject": "42"}).encode()


class Positions:
    """Moves what the services have committed."""

    def __init__(self, stack: StackInfo, topics: Topics, database_url: str) -> None:
        self.stack, self.topics, self.database_url = stack, topics, database_url

    async def streams(self, *offsets: tuple[int, int]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.stack.bootstrap_servers, group_id=self.topics.streams_group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            places = {TopicPartition(self.topics.events.name, number): offset for number, offset in offsets}
            consumer.assign(list(places))
            await consumer.commit(places)
        finally:
            await consumer.stop()

    async def projections(self, topic: str, *offsets: tuple[int, int]) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.executemany(
                "INSERT INTO botpulse.checkpoints"
                " (topic, partition, epoch, next_offset, owner, backend_pid, backend_start, claimed_at, moved_at)"
                " VALUES ($1, $2, 1, $3, 'test', 1, now(), now(), now())"
                " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                [(topic, number, offset) for number, offset in offsets],
            )
        finally:
            await connection.close()


@pytest.fixture
def positions(stack: StackInfo, topics: Topics, database_url: str) -> Positions:
    return Positions(stack, topics, database_url)


async def send(stack: StackInfo, topic: str, count: int, *, partition: int = 0) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers)
    await producer.start()
    try:
        for _ in range(count):
            await producer.send_and_wait(topic, EVENT, key=b"42", partition=partition)
    finally:
        await producer.stop()


async def send_in_transactions(stack: StackInfo, topic: str) -> None:
    """One committed record on partition 0, then an aborted one: three more offsets that no reader ever gets."""
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers, transactional_id=f"{topic}-test")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, EVENT, key=b"42", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, EVENT, key=b"42", partition=0)
        await producer.abort_transaction()
    finally:
        await producer.stop()


async def wait(positions: Positions, seconds: float) -> Progress:
    return await wait_applied(
        positions.stack.bootstrap_servers, positions.database_url, positions.topics, timeout_seconds=seconds
    )


async def test_an_empty_log_is_applied(positions: Positions) -> None:
    assert (await wait(positions, 1)).left == 0


async def test_it_waits_for_both_and_for_the_tier_changes(stack: StackInfo, positions: Positions) -> None:
    topics = positions.topics
    await send(stack, topics.events.name, 5)
    waiting = asyncio.create_task(wait(positions, 30))
    await positions.streams((0, 4))
    await positions.projections(topics.events.name, (0, 5))
    assert not (await asyncio.wait((waiting,), timeout=0.5))[0], "streams has one record left"
    await send(stack, topics.tier_changes.name, 2, partition=1)
    await positions.streams((0, 5))
    assert not (await asyncio.wait((waiting,), timeout=0.5))[0], "two tier changes are not applied"
    await positions.projections(topics.tier_changes.name, (1, 2))
    await asyncio.wait_for(waiting, 10)


async def test_what_comes_after_the_call_is_not_waited_for(stack: StackInfo, positions: Positions) -> None:
    topics = positions.topics
    await send(stack, topics.events.name, 3)
    seen: list[int] = []
    waiting = asyncio.create_task(
        wait_applied(
            stack.bootstrap_servers,
            positions.database_url,
            topics,
            timeout_seconds=30,
            report=lambda p: seen.append(p.left),
        )
    )
    await until(lambda: bool(seen), "the wait to have begun")
    await send(stack, topics.events.name, 4)
    await positions.streams((0, 3))
    await positions.projections(topics.events.name, (0, 3))
    await asyncio.wait_for(waiting, 10)


async def test_transaction_markers_and_aborted_records_are_no_lag(stack: StackInfo, positions: Positions) -> None:
    topics = positions.topics
    await send_in_transactions(stack, topics.events.name)
    # Both have read the one record that there is, at offset 0.
    await positions.streams((0, 1))
    await positions.projections(topics.events.name, (0, 1))
    await wait(positions, 20)


async def test_a_record_before_the_markers_is_lag(stack: StackInfo, positions: Positions) -> None:
    await send_in_transactions(stack, positions.topics.events.name)
    with pytest.raises(NotAppliedError, match="streams by 4 records"):
        await wait(positions, 2)


async def test_the_command_says_who_lags(stack: StackInfo, positions: Positions) -> None:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "DATABASE_URL": positions.database_url,
        "BOTPULSE_TOPIC_PREFIX": positions.topics.prefix,
    }
    await send(stack, positions.topics.events.name, 2)
    await positions.streams((0, 2))
    ran = await botpulse(settings, "wait", "--timeout", "0.5")
    assert (ran.status, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    assert "projections by 2 records" in ran.err
    await positions.projections(positions.topics.events.name, (0, 2))
    ran = await botpulse(settings, "wait", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["applied"] is True


async def test_a_database_that_is_not_right_is_one_line(
    stack: StackInfo, topics: Topics, empty_database_url: str
) -> None:
    kafka = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}
    secret = empty_database_url.split(":")[2].split("@")[0]
    for url, names in (
        (empty_database_url, "botpulse migrate"),
        (empty_database_url.replace(secret, "wrong"), "DATABASE_URL"),
        ("postgresql://botpulse:wrong@127.0.0.1:1/botpulse", "DATABASE_URL"),
        ("mysql://somewhere", "DATABASE_URL"),
    ):
        ran = await botpulse({**kafka, "DATABASE_URL": url}, "wait")
        assert (ran.status, ran.out) == (2, "")
        assert len(ran.err.splitlines()) == 1
        assert names in ran.err
        assert secret not in ran.err
        assert "wrong" not in ran.err
