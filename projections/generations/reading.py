"""Where a rebuild reads the log: from the broker, or exported days from their files and what came later from there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

from projections import preflight
from projections.checkpoints import Place
from projections.log_reader import LogReader
from projections.prefetch import Reader
from projections.settings import Settings
from projections.sources.broker import BrokerAddress
from projections.sources.exported import ExportAddress
from projections.sources.source import LogAddress, LogSource, Passed, check_reach, tell_nobody
from schemas.errors import ConfigurationError
from schemas.records import LogRecord


def is_offline(address: LogAddress | None) -> bool:
    """Whether this is an export after which the log does not go on."""
    return isinstance(address, ExportAddress) and address.then is None


async def count_partitions(settings: Settings, address: LogAddress | None) -> Mapping[str, int]:
    """Return the partition counts of the topics that are read: the broker's, offline the export's.

    Raises ConfigurationError where neither can say, ServiceStopped for a broker that goes away.
    """
    if address is None or not is_offline(address):
        return await preflight.count_partitions(settings)
    topics = settings.topics
    async with address.open() as source:
        events = len(await source.bounds(topics.events.name))
        if not events:
            raise ConfigurationError(f"the export has no day of {topics.events.name}")
    # Every topic is exported with all of its partitions, and those of users have the same number.
    return {topic.name: events for topic in (topics.events, topics.tier_changes, topics.dead_letters)}


async def check_stops(settings: Settings, address: LogAddress | None, stops: Mapping[Place, int]) -> None:
    """Raise ConfigurationError where the log that is read ends before one of these offsets: nobody ever gets there.

    Offline the reading itself says so, and what to do.
    """
    if is_offline(address):
        return
    async with (address or BrokerAddress(settings.bootstrap_servers)).open() as source:
        for topic in sorted({place.topic for place in stops}):
            wanted = {place.partition: stop for place, stop in stops.items() if place.topic == topic}
            check_reach(topic, wanted, await source.bounds(topic))


@dataclass(frozen=True, slots=True)
class Origin:
    """The log of a rebuild; can be sent to another process. With `address` it is read there instead."""

    bootstrap_servers: str
    address: LogAddress | None = None

    @asynccontextmanager
    async def reader(self, key: bytes | None = None, passed: Passed = tell_nobody) -> AsyncIterator[Reader]:
        """Open it; with `key` only for the records of that key, and `passed` is told what was looked through.

        Raises KafkaError when no broker answers, ConfigurationError for an export that can't be read.
        """
        async with AsyncExitStack() as stack:
            address = self.address
            if address is None and key is not None:
                address = BrokerAddress(self.bootstrap_servers)
            if address is not None:
                source = await stack.enter_async_context(address.open())
                yield SourceReader(source, key, passed, ends=is_offline(address))
                return
            reader = LogReader(self.bootstrap_servers)
            stack.push_async_callback(reader.stop)
            await reader.start()
            yield reader


class SourceReader:
    """Reads a source as the live worker reads the broker: topic after topic, on and on from given positions."""

    def __init__(
        self, source: LogSource, key: bytes | None = None, passed: Passed = tell_nobody, *, ends: bool = False
    ) -> None:
        """With `ends` nothing comes after what the source has now."""
        self._source = source
        self._ends = ends
        self._key = key
        self._passed = passed
        self._positions: dict[Place, int] = {}
        self._began_at: dict[Place, int] = {}
        self._left: set[Place] = set()
        self._reading: AsyncGenerator[dict[Place, list[LogRecord]], None] | None = None
        self._given_up: list[AsyncGenerator[dict[Place, list[LogRecord]], None]] = []
        """Readings that were not read to their end, to be closed before the next one."""

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        if self._reading is not None:
            self._given_up.append(self._reading)
        self._positions, self._left, self._reading = dict(positions), set(), None

    def leave(self, place: Place) -> None:
        """Return no more of a partition until the next `assign`."""
        self._left.add(place)

    async def position(self, place: Place) -> int:
        """Return the offset that is read next."""
        return self._positions[place]

    async def fetch(self, max_records: int, timeout_seconds: float) -> dict[Place, list[LogRecord]]:
        """Return what comes next of some partition, and nothing at the source's end. Raises ConfigurationError."""
        while self._given_up:
            await self._given_up.pop().aclose()
        if self._reading is None:
            self._began_at = dict(self._positions)
            self._reading = self._read(dict(self._positions))
        try:
            return await anext(self._reading)
        except StopAsyncIteration:
            # A reading that came to nothing; one that did may have moved over a gap at its end.
            if self._ends and self._positions == self._began_at:
                raise ConfigurationError(
                    "the tables have come further than the export: read the rest from the broker (without --offline), "
                    "or stop the projections and export once more, with --with-today"
                ) from None
            # What came since is a new reading from where this one has ended.
            self._reading = None
            await asyncio.sleep(timeout_seconds / 10)
            return {}

    async def _read(self, positions: dict[Place, int]) -> AsyncGenerator[dict[Place, list[LogRecord]], None]:
        for topic in sorted({place.topic for place in positions}):
            bounds = await self._source.bounds(topic)
            start = {place.partition: at for place, at in positions.items() if place.topic == topic}
            missing = [number for number in start if number not in bounds]
            if missing:
                raise ConfigurationError(f"{topic}/{missing[0]} is not on the log that is read")
            end = {number: max(at, bounds[number].end) for number, at in start.items()}
            async with aclosing(self._source.read(topic, start, end, self._key, self._passed)) as reading:
                async for number, records in reading:
                    place = Place(topic, number)
                    if place not in self._left:
                        self._positions[place] = records[-1].offset + 1
                        yield {place: list(records)}
            for number, at in end.items():
                # Behind the last record may be a gap without any.
                if (place := Place(topic, number)) not in self._left:
                    self._positions[place] = at
