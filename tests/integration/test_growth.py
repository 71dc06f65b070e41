"""`botpulse topics grow` on a real Kafka, while the bot goes on publishing."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.local import StackInfo
from deploy.reading import read_all
from schemas.events import MessageReceived
from schemas.partitioner import partition_of
from schemas.publisher import Accepted, Publisher
from schemas.publisher import Settings as PublisherSettings
from schemas.topics import Topics
from tests.support import log
from tests.support.cli import botpulse
from tests.support.installation import Installation
from tests.support.services import eventually
from tests.support.topics import delete

USERS = 40
PARTITIONS = 6
QUICK = PublisherSettings(acknowledge_seconds=1.0, retry_seconds=0.2, drain_seconds=1.0)


@pytest.fixture
async def grown(stack: StackInfo) -> AsyncIterator[Topics]:
    """Topics that the command makes."""
    topics = Topics(f"g{secrets.token_hex(4)}.")
    yield topics
    await delete(stack.bootstrap_servers, topics)


@pytest.fixture
def installation(stack: StackInfo, topics: Topics, database_url: str, tmp_path: Path) -> Installation:
    return Installation(stack, topics, database_url, tmp_path)


class Bot:
    """Publishes messages of all users, round and round; an event's id is its number among its user's."""

    def __init__(self) -> None:
        self.said: dict[int, int] = dict.fromkeys(range(1, USERS + 1), 0)
        self.spooled = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self, publisher: Publisher) -> None:
        self._stopping = False
        self._task = asyncio.create_task(self._talk(publisher))

    async def stop(self) -> None:
        assert self._task is not None
        self._stopping = True
        await self._task

    async def _talk(self, publisher: Publisher) -> None:
        while not self._stopping:
            await asyncio.sleep(0.02)  # a bot, no benchmark
            for user in self.said:
                event = publisher.new(MessageReceived, user, {"kind": "text"}, id=f"{user}-{self.said[user]}")
                self.spooled += await publisher.publish(event) is Accepted.SPOOL
                self.said[user] += 1


async def test_nothing_is_lost_doubled_or_out_of_order(
    installation: Installation, grown: Topics, tmp_path: Path
) -> None:
    servers, old = installation.stack.bootstrap_servers, installation.topics
    environment, spool = installation.environment, tmp_path / "spool"
    command = ["topics", "grow", f"--partitions={PARTITIONS}", f"--to={grown.prefix}"]
    bot = Bot()
    await installation.botpulse("simulate", "--events=12000", "--users=200", "--seed=9", "--faults=poison=0.02")
    await strange_records(servers, old)
    async with Publisher(servers, source="/bots/t", topic=old.events.name, spool=spool, settings=QUICK) as publisher:
        bot.start(publisher)
        killed = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("botpulse")), *command, env={**os.environ, **environment}
        )
        await eventually(lambda: is_copying(servers, grown), "the first records are there")
        killed.kill()
        await killed.wait()
        assert (await botpulse(environment, *command)).status == 0
        ran = await botpulse(environment, *command, "--cut-over")
        assert (ran.status, ran.err.count("\n")) == (2, 1), ran.err
        assert "somebody still writes" in ran.err
        await bot.stop()
    async with Publisher("127.0.0.1:1", source="/bots/t", spool=spool, settings=QUICK) as publisher:
        bot.start(publisher)
        await eventually(lambda: bot.spooled > 100, "the bot could not reach Kafka for a while, too")
        await bot.stop()
    ran = await botpulse(environment, *command, "--cut-over")
    assert ran.status == 0, ran.err
    assert f"BOTPULSE_TOPIC_PREFIX={grown.prefix}" in ran.out
    async with Publisher(servers, source="/bots/t", topic=grown.events.name, spool=spool, settings=QUICK) as publisher:
        bot.start(publisher)
        await eventually(lambda: publisher.status.connected, "the spool has been sent")
        await bot.stop()

    # As the services read it: what a killed copier had begun is on the log, and nobody's.
    before, after = [[record async for record in read_all(servers, topics.events)] for topics in (old, grown)]
    was, now = Counter(map(whole, before)), Counter(map(whole, after))
    assert not was - now
    assert all(b"/bots/t" in value for _, value, _, _ in now - was)
    wrong = [
        sum(is_misplaced(*of) for of in ((r, count) for r in records)) for records, count in ((before, 4), (after, 6))
    ]
    assert wrong[0] == wrong[1] >= 2
    heard = defaultdict(list)
    for record in after:
        if record.value and b"/bots/t" in record.value:
            heard[int(record.key)].append(json.loads(record.value)["id"])
    assert heard == {user: [f"{user}-{number}" for number in range(said)] for user, said in bot.said.items()}

    installation.environment["BOTPULSE_TOPIC_PREFIX"] = grown.prefix
    with ExitStack() as running:
        workers = [installation.start(module, running) for module in ("streams", "projections")]
        await installation.botpulse("wait", "--timeout=120")
        await installation.botpulse("verify")
        assert [worker.terminate() for worker in workers] == [0, 0]


async def test_wrong_uses_are_one_line(installation: Installation, grown: Topics) -> None:
    for arguments, words in [
        ([f"--to={grown.prefix}", "--partitions=4"], "growth is to more than that"),
        ([f"--to={installation.topics.prefix}", "--partitions=8"], "is the present prefix"),
    ]:
        ran = await botpulse(installation.environment, "topics", "grow", *arguments)
        assert ran.status == 2
        assert words in ran.err
    await installation.botpulse("topics", "grow", f"--to={grown.prefix}", "--partitions=5")
    ran = await botpulse(installation.environment, "topics", "grow", f"--to={grown.prefix}", "--partitions=7")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "has 5 partitions, not 7" in ran.err


async def strange_records(servers: str, topics: Topics) -> None:
    """Without a key, and on another partition than the key's."""
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait(topics.events.name, b"no key", partition=3)
        await producer.send_and_wait(topics.events.name, b"{}", key=b"1", partition=(partition_of(b"1", 4) + 1) % 4)


async def is_copying(servers: str, topics: Topics) -> bool:
    """Whether some of the log is on the new topic."""
    try:
        return sum((await log.ends(servers, topics.events.name)).values()) > 0
    except (KafkaError, ValueError, KeyError):
        return False


def whole(record: Any) -> tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...], int]:
    """All that a reader of a record gets but its place."""
    return record.key, record.value, tuple(record.headers), record.timestamp


def is_misplaced(record: Any, count: int) -> bool:
    """Whether it is not on the partition of its key."""
    return record.key is not None and record.partition != partition_of(record.key, count)
