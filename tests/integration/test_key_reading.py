"""One key's records, fetched past the consumer: the same as among all, whatever the broker does, or one clear line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import StackInfo
from projections.checkpoints import Place
from projections.sources import broker, key_fetch
from projections.sources.broker import BrokerAddress, BrokerSource
from projections.sources.key_fetch import Fetched, Fetcher
from schemas.errors import ConfigurationError, ServiceStopped
from schemas.topics import Topics
from tests.support.quotas import consumer_quota

KEY = b"7"
RECORDS = 600
Change = Callable[[bytes], bytes]


@pytest.fixture
async def source(stack: StackInfo) -> AsyncIterator[BrokerSource]:
    async with BrokerAddress(stack.bootstrap_servers).open() as opened:
        yield opened


@pytest.fixture
async def log(stack: StackInfo, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic with small batches on partition 0, which take many fetches."""
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers, acks="all", max_batch_size=512) as producer:
        for number in range(RECORDS):
            await producer.send(topics.events.name, b"x" * 100, b"%d" % (number % 13), partition=0)
    monkeypatch.setattr(key_fetch, "FETCH_BYTES", 2_000)
    return topics.events.name


async def offsets(source: BrokerSource, topic: str, start: int = 0, end: int = RECORDS) -> list[int]:
    reading = source.read(topic, {0: start}, {0: end}, KEY)
    return [record.offset async for _, records in reading for record in records if record.key == KEY]


def wanted(start: int = 0, end: int = RECORDS) -> list[int]:
    return [offset for offset in range(start, end) if offset % 13 == 7]


@asynccontextmanager
async def in_front_of(
    stack: StackInfo, monkeypatch: pytest.MonkeyPatch, most: int = 1 << 60, change: Change = bytes
) -> AsyncIterator[list[int]]:
    """Stand between broker and reader: connections are cut after `most` bytes of answers, and `change` changes them.

    Yields how much went through each connection that is over.
    """
    over: list[int] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int, change: Change) -> int:
        done = 0
        with contextlib.suppress(OSError):
            while done < most and (content := await reader.read(min(most - done, 16 * 1024))):
                done += len(content)
                writer.write(change(content))
                await writer.drain()
        writer.close()
        return done

    async def serve(client: asyncio.StreamReader, answering: asyncio.StreamWriter) -> None:
        server, requests = await asyncio.open_connection(*stack.bootstrap_servers.split(":"))
        asking = asyncio.create_task(forward(client, requests, 1 << 60, bytes))
        over.append(await forward(server, answering, most, change))
        requests.close()
        await asking

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)

    async def leader(_: BrokerSource, __: Place) -> tuple[str, int]:
        host, port = listening.sockets[0].getsockname()
        return host, port

    monkeypatch.setattr(BrokerSource, "_leader", leader)
    try:
        yield over
    finally:
        listening.close()


async def test_a_reading_begins_and_ends_where_it_is_told(source: BrokerSource, log: str) -> None:
    for start, end in ((0, RECORDS), (0, 300), (7, 8), (8, 20), (100, 481), (300, 300)):
        assert await offsets(source, log, start, end) == wanted(start, end)


async def test_connections_that_are_lost_are_made_anew(
    stack: StackInfo, source: BrokerSource, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_front_of(stack, monkeypatch, 12_000) as over:
        assert await offsets(source, log) == wanted()
        assert over.count(12_000) > 2


async def test_whoever_takes_the_records_may_take_time(
    stack: StackInfo, source: BrokerSource, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's time does not go by while a batch is folded: a connection lost meanwhile is made anew."""
    monkeypatch.setattr(broker, "_PATIENCE_SECONDS", 0.5)
    clock = 0.0
    monkeypatch.setattr(broker, "time", SimpleNamespace(monotonic=lambda: clock))
    found = []
    async with in_front_of(stack, monkeypatch, 12_000):
        async for _, records in source.read(log, {}, {0: RECORDS}, KEY):
            found += [record.offset for record in records]
            clock += 10.0
    assert found == wanted()


async def test_beyond_a_quota_it_goes_on_later(
    stack: StackInfo, source: BrokerSource, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled = []
    fetch = Fetcher.fetch

    async def seen(self: Fetcher, topic: str, partition: int, offset: int) -> Fetched:
        fetched = await fetch(self, topic, partition, offset)
        throttled.append(fetched.throttled)
        return fetched

    monkeypatch.setattr(Fetcher, "fetch", seen)
    # Ten seconds' worth is free; of what is here that leaves a little.
    async with consumer_quota(stack.bootstrap_servers, "botpulse", 6_000):
        assert await offsets(source, log) == wanted()
    assert any(throttled)


async def test_what_the_log_does_not_hold_is_told(
    source: BrokerSource, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{log} does not hold the records that were asked for"):
        await offsets(source, log, RECORDS + 1, RECORDS + 2)
    monkeypatch.setattr(broker, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(ServiceStopped, match=rf"{log}/0: nothing comes from offset {RECORDS} on, asked was 700"):
        await offsets(source, log, 0, 700)
    with pytest.raises(ServiceStopped, match=r"/99: LeaderNotAvailable"):
        await anext(source.read(log, {}, {99: 1}, KEY))


async def test_damage_on_the_way_is_told(
    stack: StackInfo, source: BrokerSource, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_front_of(stack, monkeypatch, change=lambda content: content.replace(b"x" * 100, b"x" * 99 + b"y")):
        with pytest.raises(ServiceStopped, match=rf"reading {log}/0: .*checksum of the batch at offset 0 is wrong"):
            await offsets(source, log)
