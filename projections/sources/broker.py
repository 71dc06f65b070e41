"""The log as the broker has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    LeaderNotAvailableError,
    OffsetOutOfRangeError,
    ReplicaNotAvailableError,
    UnknownError,
)

from projections.sources.key_fetch import Fetched, Fetcher, fetcher
from projections.sources.key_search import Found, find
from projections.sources.source import Bounds, Passed, tell_nobody
from schemas.errors import ConfigurationError, ServiceStopped
from schemas.kafka.connection import client_options, why_refused
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import accept_any_header_name, bare_records
from schemas.records import LogRecord, Place, placed

_REQUEST_MS: Final = 10_000
_FETCH_MS: Final = 200
_PARTITION_FETCH_BYTES: Final = 4 * 1024 * 1024
_PATIENCE_SECONDS: Final = 30.0
"""How long a broker that is restarted, or hands a partition over, is waited for."""
_AGAIN_SECONDS: Final = 0.2
_PASSING: Final = (ReplicaNotAvailableError, UnknownError)
"""What aiokafka does not call retriable, and its own consumer asks again after."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is; can be sent to another process, which opens it there."""

    bootstrap_servers: str

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BrokerSource]:
        """Connect: no group, no committed offsets, no reset. Raises ConfigurationError when no broker answers."""
        accept_any_header_name()
        try:
            admin = AIOKafkaAdminClient(**client_options(self.bootstrap_servers), request_timeout_ms=_REQUEST_MS)
            consumer = AIOKafkaConsumer(
                **client_options(self.bootstrap_servers),
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
                key_deserializer=bare_records,
            )
        except ValueError:
            raise self._unreachable() from None
        try:
            try:
                await admin.start()
                await consumer.start()
            except (KafkaError, OSError, ValueError):
                if reason := await why_refused(client_options(self.bootstrap_servers)):
                    raise ConfigurationError(reason) from None
                raise self._unreachable() from None
            yield BrokerSource(admin, consumer, client_options(self.bootstrap_servers))
        finally:
            await stop_consumer(consumer)
            await admin.close()

    def _unreachable(self) -> ConfigurationError:
        return ConfigurationError(
            f"KAFKA_BOOTSTRAP_SERVERS: no Kafka answers at {self.bootstrap_servers}; start it (for the local stack: "
            "botpulse up) or correct the setting"
        )


class BrokerSource:
    """Reads through connections of its own; one `read` at a time."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, options: Mapping[str, Any]) -> None:
        """`options` are those with which both connect."""
        self._admin = admin
        self._consumer = consumer
        self._secured = {name: value for name, value in options.items() if name != "bootstrap_servers"}

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        """Return every partition with its first offset and its end as of now."""
        (described,) = await self._admin.describe_topics([topic])
        places = [TopicPartition(topic, number) for number in range(len(described["partitions"]))]
        if not places:
            raise ConfigurationError(
                f"the topic {topic} is missing: run `botpulse topics apply`, or correct BOTPULSE_TOPIC_PREFIX or "
                "KAFKA_BOOTSTRAP_SERVERS"
            )
        self._consumer.assign(places)
        firsts = await self._consumer.beginning_offsets(places)
        ends = await self._consumer.end_offsets(places)
        self._consumer.unsubscribe()
        return {place.partition: Bounds(firsts[place], ends[place]) for place in places}

    async def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """Return of every partition the offset of the first record at or after a broker time, its end if none is."""
        bounds = await self.bounds(topic)
        places = {TopicPartition(topic, number): timestamp_ms for number in bounds}
        self._consumer.assign(list(places))
        found = await self._consumer.offsets_for_times(places)
        self._consumer.unsubscribe()
        return {
            place.partition: bounds[place.partition].end if found.get(place) is None else found[place].offset
            for place in places
        }

    async def read(
        self,
        topic: str,
        start: Mapping[int, int],
        end: Mapping[int, int],
        key: bytes | None = None,
        passed: Passed = tell_nobody,
    ) -> AsyncGenerator[tuple[int, Sequence[LogRecord]], None]:
        """Yield each partition's records in order, up to its end. Who stops earlier closes it before the next call.

        Of one key alone where there is one.
        """
        if key is not None:
            for number, upto in end.items():
                place = Place(topic, number)
                async with aclosing(self._of_key(place, start.get(number, 0), upto, key, passed)) as reading:
                    async for found in reading:
                        yield number, found
            return
        ends = {TopicPartition(topic, number): upto for number, upto in end.items() if start.get(number, 0) < upto}
        if not ends:
            return
        self._consumer.assign(list(ends))
        try:
            at = {place: start.get(place.partition, 0) for place in ends}
            for place, offset in at.items():
                self._consumer.seek(place, offset)
            left = set(ends)
            while left:
                for place, records in (await self._consumer.getmany(*left, timeout_ms=_FETCH_MS)).items():
                    upto = ends[place]
                    if records and records[-1].offset >= upto:
                        records = [record for record in records if record.offset < upto]
                    if records:
                        named = Place(topic, place.partition)
                        yield place.partition, [placed(record, named) for record in records]
                for place in left:
                    # The position also moves over what has no records.
                    position = min(await self._consumer.position(place), ends[place])
                    passed(position - at[place])
                    at[place] = position
                if done := {place for place in left if at[place] == ends[place]}:
                    left -= done
                    self._consumer.pause(*done)
        except KafkaError as error:
            raise _told(topic, error) from None
        finally:
            self._consumer.unsubscribe()

    async def _of_key(
        self, place: Place, at: int, end: int, key: bytes, passed: Passed
    ) -> AsyncGenerator[Sequence[LogRecord], None]:
        name, moved = f"{place.topic}/{place.partition}", time.monotonic()
        async with AsyncExitStack() as connection:
            broker: Fetcher | None = None
            while at < end:
                try:
                    if broker is None:
                        leader = await self._leader(place)
                        broker = await connection.enter_async_context(fetcher(*leader, self._secured))
                    fetched = await broker.fetch(*place, at)
                    records, next_offset = _found(fetched, at, key)
                except CorruptRecordException as error:
                    raise ServiceStopped(f"reading {name}: {error}") from None
                except (KafkaError, OSError, TimeoutError) as error:
                    if isinstance(error, KafkaError) and not (error.retriable or isinstance(error, _PASSING)):
                        raise _told(place.topic, error) from None
                    if time.monotonic() > moved + _PATIENCE_SECONDS:
                        raise ServiceStopped(f"reading {name}: {type(error).__name__}: {error}") from None
                    await connection.aclose()
                    broker = None
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
                if next_offset > at:
                    passed(min(next_offset, end) - at)
                    at = next_offset
                    if inside := [placed(record, place) for record in records if record.offset < end]:
                        yield inside
                elif not fetched.throttled:
                    if time.monotonic() > moved + _PATIENCE_SECONDS:
                        raise ServiceStopped(f"reading {name}: nothing comes from offset {at:,} on, asked was {end:,}")
                    continue
                # However long the taker took: the broker's time begins with the next fetch.
                moved = time.monotonic()

    async def _leader(self, place: Place) -> tuple[str, int]:
        (described,) = await self._admin.describe_topics([place.topic])
        leaders = {found["partition"]: found["leader"] for found in described["partitions"]}
        brokers = {found["node_id"]: found for found in (await self._admin.describe_cluster())["brokers"]}
        leader = brokers.get(leaders.get(place.partition))
        if leader is None:
            raise LeaderNotAvailableError(f"{place.topic}/{place.partition} has no leader now")
        return leader["host"], leader["port"]


def _found(fetched: Fetched, offset: int, key: bytes) -> Found:
    buffer, begin, upto, aborted, _ = fetched
    found = find(buffer, begin, upto, key, offset, aborted)
    if begin < upto and found.next_offset <= offset:
        raise CorruptRecordException(f"no record at offset {offset} in {upto - begin} bytes")
    return found


def _told(topic: str, error: KafkaError) -> ConfigurationError | ServiceStopped:
    if isinstance(error, OffsetOutOfRangeError):
        return ConfigurationError(
            f"{topic} does not hold the records that were asked for ({error}): they were deleted, or the topic was "
            "replaced (settings KAFKA_BOOTSTRAP_SERVERS, BOTPULSE_TOPIC_PREFIX)"
        )
    return ServiceStopped(f"reading {topic}: {type(error).__name__}: {error}")
