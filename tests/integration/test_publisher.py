"""The publisher on a real Kafka that is stopped, killed and restarted under real bots that are killed too."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local import LocalStack, StackInfo
from schemas.codec import CONTENT_TYPE_HEADER
from schemas.errors import ConfigurationError, NotAcknowledged, NotPublished, QueueFull, SpoolFull
from schemas.events import MessageReceived
from schemas.partitioner import partition_of
from schemas.publisher import Accepted, Publisher, Settings
from schemas.topics import Topics
from tests.conftest import TEST_PARTITIONS
from tests.support import log
from tests.support.polling import until
from tests.support.processes import wait_until

QUICK = Settings(acknowledge_seconds=2.0, retry_seconds=0.1, drain_seconds=10.0)
BOT = """
import asyncio, itertools, os, sys
from schemas.events import MessageReceived
from schemas.publisher import Publisher, Settings

async def main(servers, topic, spool, accepted, first):
    settings = Settings(acknowledge_seconds=1.0, retry_seconds=0.1)
    out = os.open(accepted, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    async with Publisher(servers, source="/bots/killed", spool=spool, topic=topic, settings=settings) as publisher:
        for number in itertools.count(int(first)):
            events = [publisher.new(MessageReceived, user, {"kind": "text"}, id=str(number)) for user in range(1, 8)]
            places = await asyncio.gather(*(publisher.publish(event) for event in events))
            os.write(out, f"{number} {places[0]}\\n".encode())

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def publisher(stack: StackInfo, topics: Topics, spool: Path | None, **options: Any) -> AsyncIterator[Publisher]:
    options = {"settings": QUICK, "topic": topics.events.name, **options}
    async with Publisher(stack.bootstrap_servers, source="/bots/test", spool=spool, **options) as opened:
        yield opened


def message(publisher: Publisher, user: int, number: int) -> MessageReceived:
    return publisher.new(MessageReceived, user, {"kind": "text", "length": number}, id=str(number))


async def numbers(stack: StackInfo, topics: Topics) -> dict[str, list[int]]:
    """The ids on the log by user, in the order of the log."""
    found: dict[str, list[int]] = defaultdict(list)
    for record in await log.read_all(stack.bootstrap_servers, topics.events.name):
        found[record.key.decode()].append(int(json.loads(record.value)["id"]))
    return found


def firsts(ids: list[int]) -> list[int]:
    return list(dict.fromkeys(ids))


@pytest.fixture(autouse=True)
def _no_connections_left() -> Iterator[None]:
    """Of a broker that is killed or frozen the Kafka client leaves connections behind; collected later, they would be
    told as errors of whatever test runs then."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def frozen(stack: LocalStack) -> Iterator[None]:
    """The broker stopped: it takes connections and answers nothing."""
    found = stack.find()
    assert found is not None
    os.kill(found.kafka_pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(found.kafka_pid, signal.SIGCONT)


async def test_an_event_is_on_the_log_as_the_contract_says(stack: StackInfo, topics: Topics, tmp_path: Path) -> None:
    async with publisher(stack, topics, tmp_path / "spool.db") as bot:
        event = message(bot, 123456789, 1)
        assert await bot.publish(event) is Accepted.LOG
        (record,) = await log.read_all(stack.bootstrap_servers, topics.events.name)
        assert bot.status.acknowledged == 1
        assert bot.status.connected
    assert (record.key, record.partition) == (b"123456789", partition_of(b"123456789", TEST_PARTITIONS))
    assert tuple(record.headers) == (CONTENT_TYPE_HEADER,)
    assert json.loads(record.value)["source"] == "/bots/test"


async def test_a_bot_that_is_killed_loses_nothing_that_was_accepted(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    spool, accepted = tmp_path / "spool.db", tmp_path / "accepted"
    accepted.touch()

    def known() -> list[list[str]]:
        return [line.split() for line in accepted.read_text().splitlines()]

    def start() -> subprocess.Popen[bytes]:
        first = str(int(known()[-1][0]) + 1 if known() else 1)
        arguments = [stack.bootstrap_servers, topics.events.name, str(spool), str(accepted), first]
        return subprocess.Popen([sys.executable, "-c", BOT, *arguments])

    def kill_after(bot: subprocess.Popen[bytes], place: str, more: int) -> None:
        before = len(known())
        try:
            wait_until(
                lambda: sum(line[1] == place for line in known()[before:]) >= more or bot.poll() is not None,
                f"the bot publishes to the {place}",
            )
            assert bot.poll() is None
        finally:
            bot.kill()
            bot.wait()

    await asyncio.to_thread(kill_after, start(), "log", 20)
    bot = start()
    await asyncio.to_thread(wait_until, lambda: len(known()) >= 40, "the second bot publishes")
    with frozen(local_stack):
        await asyncio.to_thread(kill_after, bot, "spool", 20)
        # Its successor begins while Kafka is away, with a spool that is not empty, and is killed as well.
        await asyncio.to_thread(kill_after, start(), "spool", 20)
    await asyncio.to_thread(kill_after, start(), "log", 20)

    settings = Settings(acknowledge_seconds=5.0, retry_seconds=0.1)
    async with publisher(stack, topics, spool, settings=settings) as last:
        await until(lambda: last.status.connected, "the spool is sent")
        assert last.status.set_aside == 0
    found = await numbers(stack, topics)
    promised = [int(number) for number, _ in known()]
    assert len(promised) > 100
    for user in map(str, range(1, 8)):
        assert set(promised) <= set(found[user])
        # A later bot's number is above all that an earlier one had accepted.
        assert firsts([number for number in found[user] if number in set(promised)]) == promised


@pytest.mark.parametrize("outage", ["frozen", "killed"])
async def test_events_wait_in_the_spool_and_keep_their_order(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path, outage: str
) -> None:
    sent = 0
    places: list[Accepted] = []

    async def more(bot: Publisher, until_place: Accepted, count: int) -> None:
        nonlocal sent
        seen = 0
        while seen < count:
            events = [message(bot, user, sent + 1) for user in (1, 2, 3)]
            sent += 1
            accepted = await asyncio.gather(*(bot.publish(event) for event in events))
            places.extend(accepted)
            seen += accepted[0] is until_place

    async with publisher(stack, topics, tmp_path / "spool.db") as bot:
        await more(bot, Accepted.LOG, 30)
        if outage == "frozen":
            with frozen(local_stack):
                await more(bot, Accepted.SPOOL, 30)
        else:
            await asyncio.to_thread(local_stack.kill_broker)
            try:
                await more(bot, Accepted.SPOOL, 30)
            finally:
                await asyncio.to_thread(local_stack.restart_broker)
        assert not bot.status.connected
        assert bot.status.last_error
        # While the spool is sent, further events queue behind it, and then go to Kafka again.
        await more(bot, Accepted.LOG, 30)
        assert bot.status.spooled == bot.status.spooled_bytes == 0
    assert set(places) == set(Accepted)
    for ids in (await numbers(stack, topics)).values():
        assert firsts(ids) == list(range(1, sent + 1))


async def test_what_only_kafka_may_accept_is_refused_while_it_is_away(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    async with publisher(stack, topics, tmp_path / "spool.db") as bot:
        with frozen(local_stack):
            for _ in range(2):
                with pytest.raises(NotAcknowledged):
                    await bot.publish(message(bot, 1, 1), spool=False)
            assert bot.status.spooled == 0
        await until(lambda: bot.status.connected, "Kafka is back")
        assert await bot.publish(message(bot, 1, 1), spool=False) is Accepted.LOG


async def test_a_full_spool_is_an_error_to_the_caller(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    settings = Settings(acknowledge_seconds=1.0, retry_seconds=0.1, spool_events=5)
    async with publisher(stack, topics, tmp_path / "spool.db", settings=settings) as bot:
        with frozen(local_stack):
            outcomes = await asyncio.gather(
                *(bot.publish(message(bot, 1, number)) for number in range(1, 9)), return_exceptions=True
            )
            assert outcomes[:5] == [Accepted.SPOOL] * 5
            assert [type(outcome) for outcome in outcomes[5:]] == [SpoolFull] * 3
            with pytest.raises(SpoolFull, match="5 events wait"):
                bot.publish_nowait(message(bot, 1, 9))
            assert (bot.status.spooled, bot.status.refused) == (5, 4)
        await until(lambda: bot.status.connected, "Kafka is back")
        assert await bot.publish(message(bot, 1, 6)) is Accepted.LOG
    # What was refused may have arrived all the same: Kafka was asked before it was found away.
    found = [number for number in (await numbers(stack, topics))["1"] if number <= 6]
    assert firsts(found) == [1, 2, 3, 4, 5, 6]


async def test_a_disk_that_takes_nothing_is_an_error_to_the_caller(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    async with publisher(stack, topics, tmp_path / "spool.db") as bot:
        assert bot.store is not None

        def no_more_pages(connection: sqlite3.Connection) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")

        await bot.store.run(no_more_pages)
        events = [message(bot, 1, number) for number in range(100)]
        with frozen(local_stack), pytest.raises(SpoolFull, match="full"):
            await asyncio.gather(*map(bot.publish, events))


async def test_without_waiting_a_bounded_queue_takes_events_and_close_brings_them_home(
    stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    settings = Settings(acknowledge_seconds=5.0, queue_events=100)
    async with publisher(stack, topics, tmp_path / "spool.db", settings=settings) as bot:
        for number in range(1, 101):
            bot.publish_nowait(message(bot, 1, number))
        with pytest.raises(QueueFull):
            bot.publish_nowait(message(bot, 1, 101))
        assert bot.status.refused == 1
    assert (await numbers(stack, topics))["1"] == list(range(1, 101))
    with pytest.raises(NotPublished, match="not open"):
        await bot.publish(message(bot, 1, 101))


async def test_close_leaves_in_the_spool_what_kafka_does_not_take(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    with frozen(local_stack):
        async with publisher(stack, topics, tmp_path / "spool.db") as bot:
            for number in range(1, 101):
                bot.publish_nowait(message(bot, 1, number))
    assert await numbers(stack, topics) == {}
    async with publisher(stack, topics, tmp_path / "spool.db") as bot:
        assert bot.status.spooled <= 100
    assert (await numbers(stack, topics))["1"] == list(range(1, 101))


async def test_close_says_when_events_could_not_be_accepted(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"topic": topics.events.name, "settings": Settings(acknowledge_seconds=1.0)}
    bot = Publisher(stack.bootstrap_servers, source="/bots/test", spool=None, **options)
    with frozen(local_stack):
        await bot.__aenter__()
        for number in range(3):
            bot.publish_nowait(message(bot, 1, number))
        with pytest.raises(NotPublished, match="3 events"):
            await bot.close()
    assert "not accepted" in caplog.text


async def test_kafka_and_the_disk_never_hold_up_the_loop(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    """Each of these waits long for its turn, and other work goes on all the while."""
    async with publisher(stack, topics, tmp_path / "spool.db") as bot:
        assert bot.store is not None
        await until(lambda: bot.status.connected, "Kafka is there")
        with frozen(local_stack):
            first = asyncio.create_task(bot.publish(message(bot, 1, 1)))
            rounds = 0
            while not first.done():
                rounds += 1
                await asyncio.sleep(0.01)
            assert rounds > 20
        await until(lambda: bot.status.connected, "Kafka is back")
        slow = asyncio.create_task(bot.store.run(lambda connection: time.sleep(0.5)))
        rounds = 0
        while not slow.done():
            rounds += 1
            await asyncio.sleep(0.01)
        assert rounds > 5


async def test_a_missing_topic_and_a_wrong_option_are_told(
    stack: StackInfo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with publisher(stack, Topics("nobody."), tmp_path / "spool.db") as bot:
        assert await bot.publish(message(bot, 1, 1)) is Accepted.SPOOL
        assert "nobody.bot.events" in str(bot.status.last_error)
    assert "nobody.bot.events" in caplog.text
    with pytest.raises(ConfigurationError, match="no_such_option"):
        async with publisher(stack, Topics(), tmp_path / "other.db", no_such_option=1):
            pass
