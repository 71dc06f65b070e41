"""What is read ahead of the writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from projections.applied import AppliedEvents
from projections.checkpoints import Place
from projections.generations.reading import SourceReader
from projections.intake import Intake
from projections.prefetch import Prefetch
from projections.sources.source import Bounds, Passed, tell_nobody
from schemas.codec import encode
from schemas.partitioner import partition_of
from schemas.records import LogRecord
from schemas.topics import Topics
from tests.support.filling import Record
from tests.support.projecting import START, grant

PARTITIONS = 3
EACH = 10


class Interleaved:
    """A topic of which every read returns one record of each partition that is asked for, in turn."""

    def __init__(self, records: Mapping[int, Sequence[LogRecord]]) -> None:
        self.records = records
        self.looks = asyncio.Semaphore(0)

    async def wait(self) -> None:
        """A slow log: a record comes when the taker has looked in vain once more."""
        await self.looks.acquire()

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        return {number: Bounds(0, len(records)) for number, records in self.records.items()}

    async def read(
        self,
        topic: str,
        start: Mapping[int, int],
        end: Mapping[int, int],
        key: bytes | None = None,
        passed: Passed = tell_nobody,
    ) -> AsyncGenerator[tuple[int, Sequence[LogRecord]], None]:
        for offset in range(EACH):
            await self.wait()
            for number in start:
                if start[number] <= offset < end[number]:
                    yield number, [self.records[number][offset]]


def log(topic: str) -> dict[int, list[LogRecord]]:
    users = {partition_of(str(user).encode(), PARTITIONS): user for user in range(1, 50)}
    return {
        number: [
            Record(
                topic, number, offset, int(START.timestamp() * 1000), str(user).encode(), encode(grant(user, offset))
            )
            for offset in range(EACH)
        ]
        for number, user in users.items()
    }


async def test_whole_batches_are_of_one_partition_number_after_the_other() -> None:
    topics = Topics("")
    topic = topics.events.name
    counts = {t.name: PARTITIONS for t in (topics.events, topics.tier_changes, topics.dead_letters)}
    source = Interleaved(log(topic))
    reader = SourceReader(source)
    prefetch = Prefetch(reader, Intake(topics, counts, AppliedEvents()), 4, whole=True)
    places = [Place(topic, number) for number in range(PARTITIONS)]
    await prefetch.start(dict.fromkeys(places, 0), dict.fromkeys(places, EACH))
    batches = []
    while sum(size for _, size in batches) < PARTITIONS * EACH:
        taken = await prefetch.take(0.001)
        if taken is None:
            source.looks.release()
            continue
        batches.append(({place.partition for place in taken.positions}, taken.count))
    await prefetch.stop()
    assert batches == [({number}, size) for number in range(PARTITIONS) for size in (4, 4, 2)]
