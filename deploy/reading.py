"""Topics read once, from the first record to what is the last one now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from aiokafka import TopicPartition

from deploy.kafka import consumer, partitions_of
from schemas.partitioner import partition_of
from schemas.topics import Topic

_FETCH_BYTES: Final = 4 * 1024 * 1024


async def read_all(bootstrap_servers: str, topic: Topic, key: bytes | None = None) -> AsyncIterator[Any]:
    """Every record that is on the topic at the call, each partition in its order; with `key` those of its partition.

    Raises ConfigurationError when Kafka doesn't answer or the topic is missing.
    """
    count = await partitions_of(bootstrap_servers, topic)
    numbers = range(count) if key is None else [partition_of(key, count)]
    places = [TopicPartition(topic.name, number) for number in numbers]
    options = {"auto_offset_reset": "earliest", "isolation_level": "read_committed"}
    async with consumer(bootstrap_servers, max_partition_fetch_bytes=_FETCH_BYTES, **options) as client:
        client.assign(places)
        ends = await client.end_offsets(places)
        await client.seek_to_beginning(*places)
        left = {place for place in places if await client.position(place) < ends[place]}
        client.pause(*(set(places) - left))
        while left:
            for place, records in (await client.getmany(*left, timeout_ms=200)).items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
            # The position also moves over what has no records: transaction markers and what was aborted.
            left = {place for place in left if await client.position(place) < ends[place]}
