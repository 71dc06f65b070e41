"""The log as the broker has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from projections.sources.source import Bounds
from schemas.errors import ConfigurationError
from schemas.records import LogRecord

OPTIONS: Final[dict[str, Any]] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "isolation_level": "read_committed",
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
}
"""How the consumer of a BrokerSource is made: no group, no committed offsets, no reset."""
_FETCH_MS: Final = 200


class BrokerSource:
    """Reads through a started consumer of its own, made with OPTIONS. One `read` at a time."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        """Return every partition with its first offset and its end as of now."""
        await self._consumer._client.set_topics([topic])  # the consumer's own way waits for an assignment
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise ConfigurationError(
                f"the topic {topic} is missing: run `botpulse topics apply`, or correct BOTPULSE_TOPIC_PREFIX or "
                "KAFKA_BOOTSTRAP_SERVERS"
            )
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        firsts = await self._consumer.beginning_offsets(places)
        ends = await self._consumer.end_offsets(places)
        return {place.partition: Bounds(firsts[place], ends[place]) for place in places}

    async def read(
        self, topic: str, start: Mapping[int, int], end: Mapping[int, int]
    ) -> AsyncIterator[tuple[int, Sequence[LogRecord]]]:
        """Yield each partition's records in order, up to its end."""
        ends = {TopicPartition(topic, number): upto for number, upto in end.items() if start.get(number, 0) < upto}
        if not ends:
            return
        self._consumer.assign(list(ends))
        try:
            for place in ends:
                self._consumer.seek(place, start.get(place.partition, 0))
            left = set(ends)
            while left:
                for place, records in (await self._consumer.getmany(*left, timeout_ms=_FETCH_MS)).items():
                    upto = ends[place]
                    if records and records[-1].offset >= upto:
                        records = [record for record in records if record.offset < upto]
                    if records:
                        yield place.partition, records
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
        finally:
            self._consumer.unsubscribe()
