"""One projection worker on a log and a database of one test: in this process or as a real one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from prometheus_client import CollectorRegistry

from projections.batch import Apply
from projections.health import Health
from projections.metrics import Metrics
from projections.preflight import count_partitions
from projections.runner import Runner
from projections.settings import Settings
from schemas.codec import CONTENT_TYPE_HEADER, encode, key_of
from schemas.events import CreditsGranted
from schemas.events.credits import CreditsGrantedData
from schemas.topics import Topics
from tests.support import counting
from tests.support.polling import until

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def grant(user: int, number: int, *, worth: int = 1, time: datetime | None = None) -> CreditsGranted:
    """Event `number` of a user; by default one a minute since START."""
    return CreditsGranted(
        id=f"{user}-{number}",
        source="/tests",
        subject=str(user),
        time=time or START + timedelta(minutes=number),
        data=CreditsGrantedData(credits=worth, reason="bonus"),
    )


def grants(users: Iterable[int], numbers: Iterable[int]) -> list[CreditsGranted]:
    """Every number for every user, the users taking turns."""
    users = list(users)
    return [grant(user, number) for number in numbers for user in users]


@dataclass
class Bench:
    """The log and the database of one test."""

    bootstrap_servers: str
    topics: Topics
    database_url: str
    workers: list[Worker] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    """Of the last worker in this process."""

    @property
    def environment(self) -> dict[str, str]:
        """What a worker's process is given, with short timeouts: a test waits for them."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "DATABASE_URL": self.database_url,
            "BOTPULSE_TOPIC_PREFIX": self.topics.prefix,
            "PROJECTIONS_SESSION_TIMEOUT_SECONDS": "6",
            "PROJECTIONS_LOCK_TIMEOUT_SECONDS": "1",
        }

    def settings(self, **overrides: Any) -> Settings:
        """The same for a worker in this process; names are the environment's."""
        return Settings.model_validate(self.environment | overrides)

    async def send(
        self, events: Sequence[Any], *, topic: str | None = None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Append events, or (key, value) pairs of bytes as they are, in order; return when all are acknowledged."""
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers, acks="all", linger_ms=5) as producer:
            sent = []
            for event in events:
                key, value = event if isinstance(event, tuple) else (key_of(event), encode(event))
                sent.append(
                    await producer.send(
                        topic or self.topics.events.name, value, key=key, headers=[CONTENT_TYPE_HEADER, *headers]
                    )
                )
            await asyncio.gather(*sent)

    async def letters(self) -> list[Any]:
        """All records of the topic of dead letters."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers)
        await consumer.start()
        try:
            place = TopicPartition(self.topics.dead_letters.name, 0)
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            found: list[Any] = []
            while await consumer.position(place) < end:
                found += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
            return found
        finally:
            await consumer.stop()

    async def ends(self) -> dict[tuple[str, int], int]:
        """The end of every partition that the projections read."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers)
        await consumer.start()
        try:
            counts = await count_partitions(self.settings())
            partitions = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
            return {(tp.topic, tp.partition): end for tp, end in (await consumer.end_offsets(partitions)).items()}
        finally:
            await consumer.stop()

    async def query(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement on a connection of its own."""
        connection = await asyncpg.connect(self.database_url, server_settings={"search_path": "botpulse"})
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def caught_up(self, seconds: float = 30.0) -> None:
        """Wait until the checkpoints are at the ends of the log as of now."""
        ends = {place: end for place, end in (await self.ends()).items() if end}

        async def applied() -> bool:
            rows = await self.query("SELECT topic, partition, next_offset FROM checkpoints")
            positions = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            return all(positions.get(place, 0) >= end for place, end in ends.items())

        await until(applied, f"the log up to {ends} to be applied", seconds)

    async def counted(self) -> dict[int, int]:
        """Events a user, as the test's projection counted them."""
        return {row["telegram_id"]: row["events"] for row in await self.query("SELECT * FROM counted")}

    async def totals(self) -> asyncpg.Record:
        """The counters of all checkpoints of the events topic together."""
        (row,) = await self.query(
            "SELECT sum(events_applied)::int AS applied, sum(duplicates)::int AS duplicates,"
            " sum(invalid)::int AS invalid, sum(refused)::int AS refused FROM checkpoints WHERE topic = $1",
            self.topics.events.name,
        )
        return row

    @contextlib.asynccontextmanager
    async def running(self, apply: Apply = counting.apply, **overrides: Any) -> AsyncIterator[Running]:
        """A worker in this process; stopped at the end, and its error raised."""
        settings = self.settings(**overrides)
        health = self.health = Health()
        runner = Runner(
            settings,
            apply,
            partition_counts=await count_partitions(settings),
            metrics=Metrics(CollectorRegistry()),
            health=health,
        )
        work = asyncio.create_task(runner.run())
        try:
            yield Running(runner, work)
        finally:
            runner.stop()
            await work

    def start(self, **environment: str) -> Worker:
        """A worker as a process of its own."""
        worker = Worker(self.environment | environment)
        self.workers.append(worker)
        return worker


@dataclass(frozen=True)
class Running:
    """A worker in this process."""

    runner: Runner
    work: asyncio.Task[None]

    @property
    def ended(self) -> bool:
        """Whether it has stopped by itself."""
        return self.work.done()


class Worker:
    """A process; what it says goes to a file."""

    def __init__(self, environment: Mapping[str, str], module: str = "tests.support.counting") -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BOTPULSE", "PROJ"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, env={**inherited, **environment}, stderr=self._said
        )

    def said(self) -> str:
        """Everything on stderr so far."""
        self._said.seek(0)
        return self._said.read().decode()

    def last_line(self) -> str:
        """The last line on stderr."""
        return (self.said().strip().splitlines() or [""])[-1]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    async def ended(self, seconds: float = 30.0) -> int:
        """Wait for the end; return the exit status (negative: the signal that killed it)."""
        try:
            await until(lambda: self.process.poll() is not None, "a worker to end", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.said()}") from None
        return self.process.returncode

    async def frozen(self, seconds: float = 30.0) -> None:
        """Wait until the process has stopped itself."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        try:
            await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "a worker to freeze", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.said()}") from None

    def close(self) -> None:
        """End the process, however it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._said.close()


@contextlib.asynccontextmanager
async def bench(bootstrap_servers: str, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    """A bench whose processes end with it, and whose database has the counting projection's tables."""
    made = Bench(bootstrap_servers, topics, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(counting.CREATE)
    await connection.close()
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.close()
