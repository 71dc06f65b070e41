"""More partitions: the log copied to topics of another prefix, every user's records in their order, and a cut-over.

A topic's partition count never changes, since a key would lie elsewhere from then on, and its records in two places. So
growth is a new topic. Each old partition is read from its beginning by one copier, which writes every record to the
partition of its key among the new ones: what has one key has one copier, and keeps its order. Records and the position
up to which they were copied are one transaction: however often copiers are killed, nothing is missing or there twice.

The broker's time of each record is kept, which what is valid depends on: the new topic takes the writer's times until
the cut-over. A record that does not lie on the partition of its key is refused, and lies wrong on the new topic too.

No setting of a topic makes a broker refuse writes to it in a way that a producer tries again. So for the cut-over the
bot is stopped (Telegram keeps its updates for a day); that the old log stands still is seen to before it counts as
copied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from deploy.kafka import admin, configure, consumer, create_topics, missing, partition_counts, producer
from schemas.errors import BotpulseError, ConfigurationError
from schemas.partitioner import partition_of
from schemas.topics import Topics

_RECORDS: Final = 2_000
"""In one transaction."""
_BATCH_BYTES: Final = 512 * 1024
_QUIET_SECONDS: Final = 5.0
"""An old log that has not grown for so long has no writer any more. Longer than a publisher waits for an answer."""
_WRITERS_TIMES: Final = {"message.timestamp.type": "CreateTime"}


@dataclass
class Grown:
    """What was done: records copied by this run, and how many there are on the old log."""

    copied: int = 0
    records: int = 0


async def grow(
    bootstrap_servers: str,
    old: Topics,
    new: Topics,
    partitions: int,
    *,
    cut_over: bool,
    move: Callable[[float], object],
) -> Grown:
    """Copy what is on the old log; with `cut_over` see that this was all, and open the new one for the bot.

    Goes on where an earlier run ended. `move` is told how many records this run has copied. Raises ConfigurationError
    for a missing old topic, a count that is no growth, new topics of another count, or a cut-over while somebody still
    writes to the old log; BotpulseError when Kafka fails.
    """
    async with admin(bootstrap_servers) as client:
        before = (await partition_counts(client, [old.events.name])).get(old.events.name)
        if before is None:
            raise missing(old.events, bootstrap_servers)
        if partitions <= before:
            raise ConfigurationError(f"{old.events.name} has {before} partitions: growth is to more than that")
        if new.events.name not in await partition_counts(client, [new.events.name]):
            await create_topics(bootstrap_servers, new, partitions)
            await configure(client, new.events.name, _WRITERS_TIMES)
        else:
            await _check_same(client, new, partitions)
        grown = Grown()
        try:
            await _copy(bootstrap_servers, client, old, new, (before, partitions), grown, cut_over, move)
            if cut_over:
                await configure(client, new.events.name, new.events.config)
        except KafkaError as error:
            raise BotpulseError(
                f"Kafka failed while the log was copied ({type(error).__name__}: {error}); run the command again, it "
                "goes on where this one ended"
            ) from None
        return grown


async def _check_same(client: AIOKafkaAdminClient, new: Topics, partitions: int) -> None:
    counts = await partition_counts(client, [topic.name for topic in new])
    for topic in new:
        wanted = topic.partitions or partitions
        if counts.get(topic.name) != wanted:
            raise ConfigurationError(
                f"{topic.name} has {counts.get(topic.name, 0)} partitions, not {wanted}: name the count that this "
                "growth began with, or another --to"
            )


async def _copy(
    bootstrap_servers: str,
    client: AIOKafkaAdminClient,
    old: Topics,
    new: Topics,
    counts: tuple[int, int],
    grown: Grown,
    cut_over: bool,
    move: Callable[[float], object],
) -> None:
    places = [TopicPartition(old.events.name, number) for number in range(counts[0])]
    group = f"{new.prefix}botpulse-grow"

    def told(records: int) -> None:
        grown.copied += records
        move(grown.copied)

    async with AsyncExitStack() as stack:
        options = {"isolation_level": "read_committed", "auto_offset_reset": "none"}
        reader = await stack.enter_async_context(consumer(bootstrap_servers, **options))
        copiers = []
        for place in places:
            # Of one name at a time: whoever is still copying under it is fenced off here.
            writer = await stack.enter_async_context(
                producer(bootstrap_servers, transactional_id=f"{group}-{place.partition}", max_batch_size=_BATCH_BYTES)
            )
            own = await stack.enter_async_context(consumer(bootstrap_servers, **options))
            copiers.append(_Copier(place, own, writer, new.events.name, counts, group))
        done = await _committed(client, group)
        begins = await reader.beginning_offsets(places)
        positions = {place: max(done.get(place, 0), begins[place]) for place in places}
        while True:
            ends = await reader.end_offsets(places)
            grown.records = sum(ends[place] - begins[place] for place in places)
            if all(positions[place] >= ends[place] for place in places):
                if cut_over:
                    await asyncio.sleep(_QUIET_SECONDS)
                    if await reader.end_offsets(places) != ends:
                        raise ConfigurationError(
                            f"somebody still writes to {old.events.name}: stop the bot, then run the command again"
                        )
                return
            async with asyncio.TaskGroup() as group_of_tasks:
                for copier in copiers:
                    group_of_tasks.create_task(copier.run(positions[copier.place], ends[copier.place], told))
            positions = dict(ends)


async def _committed(client: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    try:
        found = await client.list_consumer_group_offsets(group)
    except GroupCoordinatorNotAvailableError:
        return {}  # nobody has ever committed anything on this broker
    return {place: committed.offset for place, committed in found.items() if committed.offset >= 0}


class _Copier:
    """Copies one old partition."""

    def __init__(
        self,
        place: TopicPartition,
        reader: AIOKafkaConsumer,
        writer: AIOKafkaProducer,
        topic: str,
        counts: tuple[int, int],
        group: str,
    ) -> None:
        self.place = place
        self._reader = reader
        self._writer = writer
        self._topic = topic
        self._before, self._after = counts
        self._group = group
        reader.assign([place])

    async def run(self, begin: int, end: int, told: Callable[[int], object]) -> None:
        """Copy from one offset up to before another; every step is durable or undone."""
        self._reader.seek(self.place, begin)
        while (position := await self._reader.position(self.place)) < end:
            fetched = await self._reader.getmany(self.place, timeout_ms=200, max_records=_RECORDS)
            records = [record for record in fetched.get(self.place, ()) if record.offset < end]
            # Markers of transactions and aborted records are offsets that no reader gets.
            following = await self._reader.position(self.place)
            if records or following > position:
                await self._write(records, min(following, end))
                told(len(records))

    async def _write(self, records: Sequence[Any], following: int) -> None:
        async with self._writer.transaction():
            sent = [
                await self._writer.send(
                    self._topic,
                    record.value,
                    key=record.key,
                    partition=self._partition(record.key),
                    timestamp_ms=record.timestamp,
                    headers=list(record.headers),
                )
                for record in records
            ]
            await asyncio.gather(*sent)
            await self._writer.send_offsets_to_transaction({self.place: following}, self._group)

    def _partition(self, key: bytes | None) -> int:
        if key is None:
            return int(self.place.partition)
        right = partition_of(key, self._after)
        is_right = partition_of(key, self._before) == self.place.partition
        return right if is_right else (right + 1) % self._after
