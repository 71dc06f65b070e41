"""Until everything that is on the log now is applied by both services, tier changes included."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.database import database
from deploy.kafka import admin, consumer, missing, partition_counts
from projections import sql
from schemas.counting import counted
from schemas.errors import BotpulseError
from schemas.topics import Topics

POLL_SECONDS: Final = 0.1
_STALLED_SECONDS: Final = 0.5
"""A partition that has stood still for so long may have nothing left but what no reader ever gets."""

Ends = dict[TopicPartition, int]


@dataclass
class Progress:
    """How much is left to do: `lag` in records by who is behind; `total` records when the wait began."""

    total: int = 0
    lag: dict[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Records that somebody still has to apply."""
        return sum(self.lag.values())


class NotAppliedError(BotpulseError):
    """The time was over before everything was applied; `progress` says who was how far behind."""

    def __init__(self, timeout_seconds: float, progress: Progress, missing_workers: list[str]) -> None:
        self.progress = progress
        behind = ", ".join(f"{who} by {counted(lag, 'record')}" for who, lag in progress.lag.items() if lag)
        hint = "".join(f"; {name} has applied nothing yet: is it running?" for name in missing_workers)
        super().__init__(f"not all is applied after {timeout_seconds:g} s: behind are {behind}{hint}")


class Waiter:
    """Looks at what the services have committed; reads records only where a partition stands still."""

    def __init__(
        self,
        topics: Topics,
        admin_client: AIOKafkaAdminClient,
        reader: AIOKafkaConsumer,
        connection: asyncpg.Connection,
        report: Callable[[Progress], None],
        timeout_seconds: float,
    ) -> None:
        self._topics = topics
        self._admin = admin_client
        self._reader = reader
        self._connection = connection
        self._report = report
        self._timeout = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds
        self._moved: dict[tuple[str, TopicPartition], tuple[int, float]] = {}
        self._empty_from: dict[TopicPartition, int] = {}
        """Where a read from there up to the end gave no record."""
        self.progress = Progress()

    async def run(self, places: list[TopicPartition], decided: list[TopicPartition]) -> None:
        """Streams first, then what it has decided and refused, then the projections. Raises NotAppliedError."""
        self._reader.assign([*places, *decided])
        self._reader.pause(*places, *decided)
        begins = await self._reader.beginning_offsets([*places, *decided])
        ends: Ends = await self._reader.end_offsets(places)
        events = sum(ends[place] - begins[place] for place in places)
        self.progress.total = 2 * events
        self.progress.lag = {"streams": events, "projections": events}
        while await self._step("streams", await self._streams_positions(places), begins, ends):
            # What the projections do meanwhile is worth showing, but not worth a lookup for every gap.
            applied = await self._projections_positions()
            self.progress.lag["projections"] = sum(
                max(0, ends[place] - applied.get(place, begins[place])) for place in places
            )
            await self._pause()
        ends |= await self._reader.end_offsets(decided)
        while await self._step("projections", await self._projections_positions(), begins, ends):
            await self._pause()

    async def _step(self, who: str, positions: Mapping[TopicPartition, int], begins: Ends, ends: Ends) -> bool:
        """Look once; whether anything is left."""
        lag = 0
        for place, end in ends.items():
            at = max(positions.get(place, 0), begins[place])
            if at < end and not await self._only_a_gap(who, place, at, end):
                lag += end - at
        self.progress.lag[who] = lag
        self._report(self.progress)
        return lag > 0

    async def _only_a_gap(self, who: str, place: TopicPartition, at: int, end: int) -> bool:
        """Whether no reader gets anything from `at` to `end`: transaction markers, aborted or removed records."""
        known = self._moved.get((who, place))
        now = time.monotonic()
        if known is None or known[0] != at:
            self._moved[who, place] = (at, now)
            return False
        empty_from = self._empty_from.get(place)
        if empty_from is not None and at >= empty_from:
            return True
        if now - known[1] < _STALLED_SECONDS:
            return False
        self._reader.seek(place, at)
        self._reader.resume(place)
        try:
            until = now + 2.0
            while await self._reader.position(place) < end and time.monotonic() < until:
                records = await self._reader.getmany(place, timeout_ms=200, max_records=1)
                if any(record.offset < end for record in records.get(place, ())):
                    # There is something: the worker is slow, so look again much later.
                    self._moved[who, place] = (at, time.monotonic() + 10 * _STALLED_SECONDS)
                    return False
            if await self._reader.position(place) < end:
                return False
        finally:
            self._reader.pause(place)
        self._empty_from[place] = at
        return True

    async def _streams_positions(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            committed = await self._admin.list_consumer_group_offsets(self._topics.streams_group, partitions=places)
        except KafkaError:
            # The coordinator moves, or the group has never been.
            return {}
        return {place: found.offset for place, found in committed.items() if found.offset >= 0}

    async def _projections_positions(self) -> dict[TopicPartition, int]:
        names = [self._topics.events.name, self._topics.tier_changes.name, self._topics.dead_letters.name]
        rows = await self._connection.fetch(sql.query("tools", "positions"), names)
        return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def _pause(self) -> None:
        if time.monotonic() > self._deadline:
            lag = self.progress.lag
            idle = [name for name, count in lag.items() if count and count == self.progress.total // 2]
            raise NotAppliedError(self._timeout, self.progress, idle)
        await asyncio.sleep(POLL_SECONDS)


async def wait_applied(
    bootstrap_servers: str,
    database_url: str,
    topics: Topics,
    *,
    timeout_seconds: float,
    report: Callable[[Progress], Any] = lambda _: None,
) -> Progress:
    """Return when all that was on the log at the call is applied by streams and projections, tier changes and dead
    letters included.

    `report` is called about ten times a second. Raises NotAppliedError when that takes longer than `timeout_seconds`,
    ConfigurationError when Kafka or Postgres can't be used.
    """
    async with (
        admin(bootstrap_servers) as admin_client,
        consumer(bootstrap_servers, isolation_level="read_committed", auto_offset_reset="earliest") as reader,
        database(database_url) as connection,
    ):
        read = (topics.events, topics.tier_changes, topics.dead_letters)
        counts = await partition_counts(admin_client, [topic.name for topic in read])
        places = []
        for topic in read:
            if topic.name not in counts:
                raise missing(topic, bootstrap_servers)
            places.append([TopicPartition(topic.name, number) for number in range(counts[topic.name])])
        waiter = Waiter(topics, admin_client, reader, connection, report, timeout_seconds)
        await waiter.run(places[0], [place for of_topic in places[1:] for place in of_topic])
        return waiter.progress


def watcher(move: Callable[[float, float | None, str | None], object]) -> Callable[[Progress], None]:
    """A report for `wait_applied` that moves a bar: done, of how many, and who is behind."""
    most = 1

    def report(progress: Progress) -> None:
        nonlocal most
        most = max(most, progress.left)
        behind = ", ".join(f"{who} {lag:,}" for who, lag in progress.lag.items() if lag)
        move(most - progress.left, most, f"behind: {behind}" if behind else "applied")

    return report
