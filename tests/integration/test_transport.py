"""The batched transport by itself: a Faust app of a test on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import faust
import pytest
from faust.types import TP, Message

from deploy.local import StackInfo
from schemas.errors import ServiceStopped
from schemas.partitioner import partition_of
from schemas.topics import Topics
from streams.transport import BatchConsumer, BatchProducer, BatchSchema, BatchTransport, OutgoingRecord
from streams.transport.consumer import MAX_IN_FLIGHT
from tests.support import log
from tests.support.services import eventually
from tests.support.topics import create, delete

PARTITIONS = 4


class Collector:
    """An app whose only agent takes batches and leaves the acks to the test."""

    def __init__(self, stack: StackInfo, topics: Topics) -> None:
        self.topic = topics.events.name
        self.group = f"{topics.prefix}collector"
        self.bootstrap = stack.bootstrap_servers
        self.messages: list[Message] = []
        self.app = faust.App(
            self.group,
            broker=f"kafka://{stack.bootstrap_servers}",
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            broker_commit_interval=0.1,
            broker_session_timeout=3.0,
            broker_heartbeat_interval=0.5,
            broker_max_poll_records=20,
            consumer_metadata_max_age_ms=500,
        )
        self.app.transport = self.app.producer_transport = BatchTransport(self.app.conf.broker, self.app)
        self.app.agent(self.app.topic(self.topic, schema=BatchSchema()), name="collect")(self._collect)

    async def _collect(self, stream: Any) -> None:
        async for event in stream.noack().events():
            if self.consumer.take(event.message):
                self.messages.append(event.message)

    @property
    def consumer(self) -> BatchConsumer:
        assert isinstance(self.app.consumer, BatchConsumer)
        return self.app.consumer

    def of(self, partition: int) -> list[Message]:
        """The partition's batches in the order they came."""
        return [message for message in self.messages if message.partition == partition]

    def records(self) -> int:
        """How many records came."""
        return sum(len(message.value or ()) for message in self.messages)

    def ack_all(self) -> None:
        """Acknowledge everything that came."""
        for message in self.messages:
            self.consumer.ack(message)

    async def committed(self, partition: int) -> int:
        """The group's committed offset, 0 before the first."""
        offsets = await log.committed(self.bootstrap, self.group)
        return next((offset for tp, offset in offsets.items() if tp.partition == partition), 0)


@asynccontextmanager
async def collecting(stack: StackInfo, topics: Topics) -> AsyncIterator[Collector]:
    """A running collector; whatever it took is acknowledged before it stops, or it would wait for that."""
    collector = Collector(stack, topics)
    await collector.app.start()
    try:
        yield collector
    finally:
        collector.ack_all()
        await collector.app.stop()


def keyed(partition: int, count: int) -> list[dict[str, Any]]:
    """Events of one user of the partition."""
    user = next(str(n) for n in range(1, 1000) if partition_of(str(n).encode(), PARTITIONS) == partition)
    return [{"subject": user, "n": n} for n in range(count)]


async def test_a_message_is_a_batch_and_only_contiguous_acks_are_committed(stack: StackInfo, topics: Topics) -> None:
    await log.publish(stack.bootstrap_servers, topics, keyed(2, 200))
    async with collecting(stack, topics) as collector:
        await eventually(lambda: len(collector.of(2)) == MAX_IN_FLIGHT, "as many batches as may be are in flight")
        first, second = collector.of(2)
        for message in (first, second):
            records: Any = message.value
            assert message.offset == records[-1].offset
            assert [record.offset for record in records] == list(range(records[0].offset, message.offset + 1))
        assert collector.consumer.ack(second)
        await collector.consumer.commit()
        assert await collector.committed(2) == 0
        assert collector.consumer.ack(first)

        async def moved() -> bool:
            return await collector.committed(2) == second.offset + 1

        await eventually(moved, "the commit moves over both")


async def test_what_is_not_acked_holds_back_fetching_and_its_own_partition_alone(
    stack: StackInfo, topics: Topics
) -> None:
    await log.publish(stack.bootstrap_servers, topics, [*keyed(1, 500), *keyed(3, 500)])
    async with collecting(stack, topics) as collector:

        async def drained() -> bool:
            for message in collector.of(3):
                collector.consumer.ack(message)
            return await collector.committed(3) == 500

        await eventually(drained, "partition 3 is acked to its end")
        held = collector.of(1)
        assert 0 < sum(len(message.value or ()) for message in held) < 500
        assert await collector.committed(1) == 0


async def test_paused_partitions_bring_nothing_and_resumed_ones_go_on(stack: StackInfo, topics: Topics) -> None:
    async with collecting(stack, topics) as collector:
        await log.publish(stack.bootstrap_servers, topics, keyed(0, 5))
        await eventually(lambda: collector.records() == 5, "partition 0 flows")
        paused = TP(collector.topic, 0)
        collector.consumer.pause_partitions({paused})
        await log.publish(stack.bootstrap_servers, topics, [*keyed(0, 7), *keyed(1, 9)])
        await eventually(lambda: sum(len(m.value or ()) for m in collector.of(1)) == 9, "the other partition flows")
        collector.consumer.resume_partitions({paused})
        await eventually(lambda: collector.records() == 21, "the paused partition goes on where it was")
        offsets = [record.offset for message in collector.of(0) for record in message.value or ()]  # type: ignore[attr-defined]
        assert offsets == list(range(12))


async def test_a_seek_to_the_committed_offsets_brings_the_rest_again(stack: StackInfo, topics: Topics) -> None:
    await log.publish(stack.bootstrap_servers, topics, keyed(0, 10))
    async with collecting(stack, topics) as collector:
        await eventually(lambda: collector.records() == 10, "all came")
        collector.messages.clear()
        await collector.consumer.perform_seek()
        await eventually(lambda: collector.records() == 10, "nothing was acked, so all comes again")
        assert len({record.offset for m in collector.messages for record in m.value or ()}) == 10  # type: ignore[attr-defined]


async def test_stopping_waits_for_what_was_taken_and_commits_it(stack: StackInfo, topics: Topics) -> None:
    await log.publish(stack.bootstrap_servers, topics, keyed(0, 10))
    collector = Collector(stack, topics)
    await collector.app.start()
    await eventually(lambda: collector.records() == 10, "all came")
    stopping = asyncio.create_task(collector.app.stop())
    await eventually(lambda: not collector.consumer.flow_active, "the stop has begun")
    assert not stopping.done()
    collector.ack_all()
    await stopping
    assert await collector.committed(0) == 10


async def test_a_write_returns_the_offset_after_it_and_keeps_the_order(stack: StackInfo, topics: Topics) -> None:
    async with collecting(stack, topics) as collector:
        producer = collector.app.producer
        assert isinstance(producer, BatchProducer)
        large = bytes(600 * 1024)
        records = [OutgoingRecord(b"k%d" % n, large if n == 2 else b"v%d" % n) for n in range(5)]
        assert await producer.write(topics.tier_changes.name, 1, records) == 5
        assert await producer.write(topics.tier_changes.name, 1, records[:1]) == 6
        assert await producer.write(topics.tier_changes.name, 1, []) is None
        written = await log.read_all(stack.bootstrap_servers, topics.tier_changes.name)
        assert [record.key for record in written] == [b"k0", b"k1", b"k2", b"k3", b"k4", b"k0"]


async def test_what_is_fetched_and_not_handed_on_comes_again(
    stack: StackInfo, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch that an assignment overtakes has moved the client's positions: dropping it alone would lose it."""
    outdated, dropped = BatchConsumer._outdated, 0

    def overtaken(consumer: BatchConsumer, fetched: Any) -> bool:
        nonlocal dropped
        if any(fetched.records.values()) and dropped < 3:
            dropped += 1
            return True
        return outdated(consumer, fetched)

    monkeypatch.setattr(BatchConsumer, "_outdated", overtaken)
    await log.publish(stack.bootstrap_servers, topics, keyed(2, 10))
    async with collecting(stack, topics) as collector:
        await eventually(lambda: collector.records() == 10, "all comes in the end", 20)
        assert dropped == 3
        assert [record.offset for m in collector.of(2) for record in m.value or ()] == list(range(10))  # type: ignore[attr-defined]


async def test_a_rebalance_amid_a_fetch_leaves_none_of_it_over(
    stack: StackInfo, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch holds batches of several partitions. When the second one's turn comes it may be of an assignment that is
    over: handed on all the same, it would stand among the batches of the next one, twice or never to be finished."""
    check, hand_on = BatchConsumer._check_no_hole, BatchConsumer._hand_on
    fetches: list[Any] = []
    overtaken = False

    def noted(consumer: BatchConsumer, fetched: Any) -> None:
        fetches.append(fetched)
        check(consumer, fetched)

    async def overtake(consumer: BatchConsumer, tp: TP, records: list[Any]) -> None:
        nonlocal overtaken
        await hand_on(consumer, tp, records)
        if not overtaken and sum(map(bool, fetches[-1].records.values())) > 1:
            overtaken = True
            await consumer.perform_seek()

    monkeypatch.setattr(BatchConsumer, "_check_no_hole", noted)
    monkeypatch.setattr(BatchConsumer, "_hand_on", overtake)
    await log.publish(stack.bootstrap_servers, topics, [*keyed(1, 10), *keyed(3, 10)])
    async with collecting(stack, topics) as collector:

        async def drained() -> bool:
            collector.ack_all()
            return [await collector.committed(partition) for partition in (1, 3)] == [10, 10]

        await eventually(drained, "all of it is acked in the end", 20)
        assert overtaken
        assert collector.app._fetcher.crash_reason is None
        assert collector.app.crash_reason is None


async def test_nothing_is_handed_on_before_the_first_partitions_are_set_back(
    stack: StackInfo, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust lets the flow go on through a rebalance of a member that has no partitions; those that it then gets would
    be fetched, and handed on, before their positions are set."""
    flowing: list[bool] = []
    seek = BatchConsumer.perform_seek

    async def noted(consumer: BatchConsumer) -> None:
        flowing.append(consumer.flow_active)
        await seek(consumer)

    monkeypatch.setattr(BatchConsumer, "perform_seek", noted)
    await delete(stack.bootstrap_servers, topics)
    async with collecting(stack, topics) as collector:
        await eventually(
            lambda: collector.app.unassigned and collector.consumer.flow_active, "it has no partitions", 20
        )
        assert flowing == []
        await create(stack.bootstrap_servers, topics, PARTITIONS)
        await log.publish(stack.bootstrap_servers, topics, keyed(1, 10))
        await eventually(lambda: collector.records() == 10, "it has partitions, and goes on", 30)
    assert flowing
    assert not any(flowing)


async def test_a_reason_that_says_all_comes_without_a_traceback(
    stack: StackInfo, topics: Topics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(consumer: BatchConsumer, fetched: Any) -> None:
        raise ServiceStopped("records would be missed")

    async with collecting(stack, topics) as collector:
        monkeypatch.setattr(BatchConsumer, "_check_no_hole", refuse)
        await eventually(lambda: collector.app.crash_reason is not None, "the app has crashed")
        assert isinstance(collector.app.crash_reason, ServiceStopped)
    (crashed,) = [record for record in caplog.records if "Crashed reason" in record.getMessage()]
    assert crashed.exc_info in (None, (None, None, None))


async def test_a_stop_within_a_rebalance_is_no_crash(
    stack: StackInfo, topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    """Faust starts a fetcher that was cancelled while it rebalances anew; one that was told to stop must just end."""
    async with collecting(stack, topics) as collector:
        await log.publish(stack.bootstrap_servers, topics, keyed(0, 5))
        await eventually(lambda: collector.records() == 5, "all came")
        collector.app.rebalancing = True
        await collector.app._fetcher.stop()
        collector.app.rebalancing = False
        assert collector.app._fetcher.crash_reason is None
    assert collector.app.crash_reason is None
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
