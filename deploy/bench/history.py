"""The state of very many users, without the hours of folding their past: the changelog as the stream service writes it.

The pasts of a sample of users are folded by the stream service's own fold; the values that come out, in its own
encoding, are written for as many users as are wanted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from typing import Final

from aiokafka import TopicPartition

from deploy.bench.logs import SHARE_DISTANCE, Log, Move
from deploy.kafka import consumer
from deploy.publishing import publisher
from schemas.codec import Decoder
from schemas.partitioner import partition_of
from schemas.records import CONTENT_TYPE_HEADER, Place, PlacedRecord
from schemas.topics import Topic, Topics
from streams.state import PartitionState

BATCH_RECORDS: Final = 5_000
_SHOWN_EVERY: Final = 2_000


@dataclass
class Past:
    """What a sample of users has come to; `next_offset` by partition is where the log of their past ends."""

    users: list[tuple[bytes, bytes]] = field(default_factory=list)
    entries: dict[bytes, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    """Ledger entries by their user's key, each with its own key's rest."""
    next_offset: dict[int, int] = field(default_factory=dict)

    @property
    def value_bytes(self) -> float:
        """The mean size of an aggregate."""
        return sum(len(value) for _, value in self.users) / len(self.users)


def fold(log: Log, topic: str, partitions: int) -> Past:
    """Fold a log, of one with a past only that, as a stream worker would that had it to itself."""
    from streams.batch import fold_batch  # not above: it brings Faust, which no other command has to wait for

    past = Past()
    now = int(time.time() * 1000)
    batches: list[list[PlacedRecord]] = [[] for _ in range(partitions)]
    for key, value in log.records(log.past or None):
        place = partition_of(key, partitions)
        batch = batches[place]
        batch.append(PlacedRecord(topic, place, len(batch), now, key, value, (CONTENT_TYPE_HEADER,)))
    decoder = Decoder(partitions)
    for place, batch in enumerate(batches):
        past.next_offset[place] = len(batch)
        state = PartitionState()
        users: dict[bytes, bytes] = {}
        entries: dict[bytes, bytes] = {}
        for begin in range(0, len(batch), BATCH_RECORDS):
            fold_batch(batch[begin : begin + BATCH_RECORDS], Place(topic, place), decoder, state)
            changes = state.changes()
            state.stored(*changes)
            users.update(changes[0])
            entries.update(changes[1])
        past.users += users.items()
        for key, value in entries.items():
            user, rest = key.split(b":", 1)
            past.entries.setdefault(user, []).append((rest, value))
    return past


def many(past: Past, users: int, partitions: int) -> Iterator[tuple[bytes, bytes, list[tuple[bytes, bytes]]]]:
    """As many users as are wanted: key, aggregate, ledger entries.

    Each has the past of a user of the sample on the same partition, so that the applied offset is one of its log.
    """
    pasts: list[list[tuple[bytes, bytes]]] = [[] for _ in range(partitions)]
    for user in past.users:
        pasts[partition_of(user[0], partitions)].append(user)
    turns = [cycle(of_partition) for of_partition in pasts]
    for copy in islice(_copies(past), users):
        original, value = next(turns[partition_of(copy, partitions)])
        yield copy, value, [(copy + b":" + rest, entry) for rest, entry in past.entries.get(original, ())]


def _copies(past: Past) -> Iterator[bytes]:
    """The sample's users, and ever more beside them."""
    for distance in count(step=SHARE_DISTANCE):
        for key, _ in past.users:
            yield b"%d" % (int(key) + distance)


async def write(past: Past, bootstrap_servers: str, topics: Topics, users: int, partitions: int, move: Move) -> int:
    """Write the changelog of so many users; returns how many records that are, all acknowledged."""
    written = 0
    async with (
        publisher(bootstrap_servers, topics.user_aggregates) as aggregates,
        publisher(bootstrap_servers, topics.user_ledger) as ledger,
    ):
        for number, (key, value, entries) in enumerate(many(past, users, partitions), 1):
            place = aggregates.place(key)
            await aggregates.add(key, value, [], place)
            for entry_key, entry in entries:
                # An entry lies with its user, whatever partition its own key would go to.
                await ledger.add(entry_key, entry, [], place)
            written += 1 + len(entries)
            if number % _SHOWN_EVERY == 0:
                move(number)
    return written


async def commit(bootstrap_servers: str, topic: Topic, group: str, next_offset: dict[int, int]) -> None:
    """Let a group that has never been begin there."""
    async with consumer(bootstrap_servers, group_id=group) as client:
        places = {TopicPartition(topic.name, place): offset for place, offset in next_offset.items()}
        client.assign(list(places))
        await client.commit(places)
