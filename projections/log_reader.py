"""Reads the log from given positions, and from nowhere else: no group, no committed offsets, no reset."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from projections.checkpoints import Place
from schemas.errors import ConfigurationError, ServiceStopped
from schemas.kafka.connection import client_options
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import accept_any_header_name, bare_records
from schemas.records import LogRecord, placed

FETCH_BYTES: Final = 8 * 1024 * 1024
"""Most that is fetched ahead while a batch is written: what memory holds beside the batch in hand."""
PARTITION_FETCH_BYTES: Final = 1024 * 1024
READ_BACK_SECONDS: Final = 30.0


class LogReader:
    """A reader of some partitions; only committed records, transaction markers passed over."""

    def __init__(self, bootstrap_servers: str) -> None:
        accept_any_header_name()
        self._consumer = AIOKafkaConsumer(
            **client_options(bootstrap_servers),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            key_deserializer=bare_records,
            fetch_max_wait_ms=500,
            retry_backoff_ms=200,
        )

    async def start(self) -> None:
        """Connect. Raises KafkaError when no broker answers."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Close the connections."""
        await stop_consumer(self._consumer)

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self._consumer.assign([TopicPartition(*place) for place in positions])
        for place, offset in positions.items():
            self._consumer.seek(TopicPartition(*place), offset)

    def leave(self, place: Place) -> None:
        """Read no more of a partition until the next `assign`."""
        self._consumer.pause(TopicPartition(*place))

    async def fetch(self, max_records: int, timeout_seconds: float) -> dict[Place, list[LogRecord]]:
        """Return what has arrived, up to `max_records` over all partitions; waits only while there is nothing.

        Raises ConfigurationError if the log has lost the records that come next.
        """
        try:
            fetched = await self._consumer.getmany(timeout_ms=int(timeout_seconds * 1000), max_records=max_records)
        except OffsetOutOfRangeError as error:
            raise ConfigurationError(
                f"the log no longer has the records that come next ({error}): they were deleted, or the topic was "
                "replaced; the tables can't be folded from this log (settings KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL)"
            ) from None
        return {
            (place := Place(tp.topic, tp.partition)): [placed(record, place) for record in records]
            for tp, records in fetched.items()
        }

    async def position(self, place: Place) -> int:
        """Return the offset that is read next: past the last record returned and the gap behind it, if any."""
        return int(await self._consumer.position(TopicPartition(*place)))

    def end_of(self, place: Place) -> int | None:
        """Return the end of the partition as of the last fetch, None before the first."""
        end: int | None = self._consumer.highwater(TopicPartition(*place))
        return end

    def silent_seconds(self) -> float:
        """Return how long no broker has answered a fetch, at most of all partitions; 0 without partitions."""
        now = time.time() * 1000
        answers: list[int | None] = [self._consumer.last_poll_timestamp(tp) for tp in self._consumer.assignment()]
        return max(((now - answer) / 1000 for answer in answers if answer is not None), default=0.0)

    async def bounds(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """Return beginning and end offset of each partition. Raises KafkaError."""
        partitions = [TopicPartition(*place) for place in places]
        beginnings = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        return {Place(tp.topic, tp.partition): (beginnings[tp], ends[tp]) for tp in partitions}

    async def read_back(self, offsets: Mapping[Place, int]) -> dict[Place, LogRecord]:
        """Return for each partition the first record at or after the offset. Changes what is assigned.

        Raises ServiceStopped if the broker does not hand them out in time.
        """
        found: dict[Place, LogRecord] = {}
        self.assign(offsets)
        try:
            async with asyncio.timeout(READ_BACK_SECONDS):
                while len(found) < len(offsets):
                    for tp, records in (await self._consumer.getmany(timeout_ms=500)).items():
                        if records:
                            place = Place(tp.topic, tp.partition)
                            found.setdefault(place, placed(records[0], place))
                            self._consumer.pause(tp)
        except TimeoutError:
            missing = ", ".join(str(place) for place in offsets if place not in found)
            raise ServiceStopped(f"Kafka did not hand out the last applied record of {missing} in time") from None
        return found
