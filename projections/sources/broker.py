"""The log as the broker has it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from projections.sources.source import Bounds
from schemas.errors import ConfigurationError, ServiceStopped
from schemas.kafka.connection import client_options, why_refused
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import OnlyKey, accept_any_header_name
from schemas.records import LogRecord, Place, placed

_REQUEST_MS: Final = 10_000
_FETCH_MS: Final = 200
_LOOK_MS: Final = 20
"""For a record of one key: all that was fetched may be of others."""
_PARTITION_FETCH_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is; can be sent to another process, which opens it there."""

    bootstrap_servers: str

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BrokerSource]:
        """Connect: no group, no committed offsets, no reset. Raises ConfigurationError when no broker answers."""
        accept_any_header_name()
        only = OnlyKey()
        try:
            admin = AIOKafkaAdminClient(**client_options(self.bootstrap_servers), request_timeout_ms=_REQUEST_MS)
            consumer = AIOKafkaConsumer(
                **client_options(self.bootstrap_servers),
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
                key_deserializer=only,
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
            yield BrokerSource(admin, consumer, only)
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

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, only: OnlyKey) -> None:
        """`only` is the consumer's key_deserializer."""
        self._admin = admin
        self._consumer = consumer
        self._only = only

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
        self, topic: str, start: Mapping[int, int], end: Mapping[int, int], key: bytes | None = None
    ) -> AsyncGenerator[tuple[int, Sequence[LogRecord]], None]:
        """Yield each partition's records in order, up to its end. Who stops earlier closes it before the next call.

        Of one key alone where there is one.
        """
        ends = {TopicPartition(topic, number): upto for number, upto in end.items() if start.get(number, 0) < upto}
        if not ends:
            return
        self._only.key = key
        self._consumer.assign(list(ends))
        try:
            for place in ends:
                self._consumer.seek(place, start.get(place.partition, 0))
            left = set(ends)
            wait_ms = _FETCH_MS if key is None else _LOOK_MS
            while left:
                for place, records in (await self._consumer.getmany(*left, timeout_ms=wait_ms)).items():
                    upto = ends[place]
                    if records and records[-1].offset >= upto:
                        records = [record for record in records if record.offset < upto]
                    if records:
                        at = Place(topic, place.partition)
                        yield place.partition, [placed(record, at) for record in records]
                # The position also moves over what has no records.
                done = {place for place in left if await self._consumer.position(place) >= ends[place]}
                if done:
                    left -= done
                    self._consumer.pause(*done)
        except OffsetOutOfRangeError as error:
            raise ConfigurationError(
                f"{topic} does not hold the records that were asked for ({error}): they were deleted, or the topic was "
                "replaced (settings KAFKA_BOOTSTRAP_SERVERS, BOTPULSE_TOPIC_PREFIX)"
            ) from None
        except KafkaError as error:
            raise ServiceStopped(f"reading {topic}: {type(error).__name__}: {error}") from error
        finally:
            self._consumer.unsubscribe()
            self._only.key = None
