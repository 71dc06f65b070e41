"""Each event once, for ever: which (source, id, time) are applied; recent hours in memory, all of them in a table.

A row an event in a unique index would be the dearest write of all. Instead one row a batch, partition and hour of the
events' time holds their digests packed one after the other. An hour that is in memory is complete: it was read from the
table after the partition was claimed, and only this worker has added to it since (any other writer's batch would have
failed at the fence). So the hours may be read before the batch's transaction begins.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import Final, NamedTuple

import asyncpg

from projections import sql
from projections.batch import Arrival
from projections.checkpoints import DIGEST_BYTES
from schemas.codec import event_identity
from schemas.envelope import Envelope

CAPACITY: Final = 250_000
"""Digests that a lane keeps in memory, about 30 MB: with the other lane's some days of a busy bot."""
HOURS_A_QUERY: Final = 64
"""Of the first read of a batch. It bounds what one read brings into memory, however many old hours a batch of late
events touches; while little is found, the next one asks for twice as many."""
LITTLE_FOUND: Final = 20_000
"""Digests of one read."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Hour(NamedTuple):
    """An hour of event time in one partition; `number` counts hours since 1970."""

    partition: int
    number: int

    @property
    def start(self) -> datetime:
        """The hour's beginning, UTC."""
        return datetime.fromtimestamp(self.number * 3600, UTC)


class Mark(NamedTuple):
    """What is kept of an event that is applied."""

    hour: Hour
    digest: bytes


@dataclass(frozen=True, slots=True)
class Sifted:
    """A batch's events, each seen for the first time, and how many were not, a partition."""

    arrivals: list[Arrival]
    marks: list[Mark]
    """One for each of `arrivals`."""
    duplicates: dict[int, int]


def identity_digest(source: str, event_id: str, time: datetime) -> bytes:
    """Return 16 bytes for an event's identity. The encoding is stored for ever: lengths first, then the UTF-8 text,
    the time as whole microseconds since 1970."""
    since = time - _EPOCH
    return _digest(source, event_id, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _digest(source: str, event_id: str, microseconds: int) -> bytes:
    origin, name = source.encode(), event_id.encode()
    text = b"%d:%d:%d:%b%b" % (len(origin), len(name), microseconds, origin, name)
    return blake2b(text, digest_size=DIGEST_BYTES).digest()


class Marker:
    """Says what is to be remembered of the events of a partition. Pure, so that it may run ahead of the database."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._hours: dict[int, Hour] = {}
        """One object an hour: a new one an event would cost more than its digest."""

    def __call__(self, event: Envelope) -> Mark:
        """Return what is to be remembered of one."""
        source, event_id, time = event_identity(event)
        since = time - _EPOCH
        seconds = since.days * 86_400 + since.seconds
        number = seconds // 3600
        hour = self._hours.get(number)
        if hour is None:
            hour = self._hours[number] = Hour(self._partition, number)
        return Mark(hour, _digest(source, event_id, seconds * 1_000_000 + since.microseconds))


class AppliedEvents:
    """The memory of one lane; belongs to the partitions it has claimed."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._hours: OrderedDict[Hour, set[bytes]] = OrderedDict()
        self._held = 0

    def forget(self) -> None:
        """Drop everything: partitions were revoked, or another writer may have written since."""
        self._hours.clear()
        self._held = 0

    async def sift(self, connection: asyncpg.Connection, arrivals: Sequence[Arrival], marks: Sequence[Mark]) -> Sifted:
        """Separate first arrivals from duplicates, of earlier batches and within this one. Changes no table.

        All arrivals are of the events topic, in the order of the log within each partition; `marks` are theirs.
        """
        hours: defaultdict[Hour, list[int]] = defaultdict(list)
        for index, (hour, _) in enumerate(marks):
            hours[hour].append(index)

        repeated: set[int] = set()
        known = [hour for hour in hours if hour in self._hours]
        for hour in known:
            self._hours.move_to_end(hour)
            _find_repeated(repeated, hours[hour], marks, self._hours[hour])
        missing = iter([hour for hour in hours if hour not in self._hours])
        size = HOURS_A_QUERY
        while chunk := list(islice(missing, size)):
            found = await _read(connection, chunk)
            for hour, applied in found.items():
                _find_repeated(repeated, hours[hour], marks, applied)
                self._keep(hour, applied)
            # A quiet bot's batch is of hundreds of hours with hardly an event: in small reads, it would mostly wait.
            size = size * 2 if sum(map(len, found.values())) <= LITTLE_FOUND else HOURS_A_QUERY

        if not repeated:
            return Sifted(list(arrivals), list(marks), {})
        duplicates: defaultdict[int, int] = defaultdict(int)
        for index in repeated:
            duplicates[arrivals[index].partition] += 1
        first = [index for index in range(len(arrivals)) if index not in repeated]
        return Sifted([arrivals[index] for index in first], [marks[index] for index in first], dict(duplicates))

    def committed(self, rows: Mapping[Hour, tuple[int, bytes]]) -> None:
        """Add what a batch has written, after its commit; an hour that is not in memory is read when it is needed."""
        for hour, (_, packed) in rows.items():
            if (applied := self._hours.get(hour)) is not None:
                before = len(applied)
                applied.update(_unpack(packed))
                self._held += len(applied) - before
        self._shrink()

    def _keep(self, hour: Hour, applied: set[bytes]) -> None:
        self._hours[hour] = applied
        self._held += len(applied)
        self._shrink()

    def _shrink(self) -> None:
        while self._held > self._capacity:
            _, dropped = self._hours.popitem(last=False)
            self._held -= len(dropped)


def pack(marked: Iterable[tuple[Arrival, Mark]]) -> dict[Hour, tuple[int, bytes]]:
    """Return the rows of a batch: by partition and hour the offset of the first event and the packed digests."""
    rows: dict[Hour, tuple[int, bytearray]] = {}
    for arrival, (hour, digest) in marked:
        row = rows.get(hour)
        if row is None:
            rows[hour] = (arrival.offset, bytearray(digest))
        else:
            row[1].extend(digest)
    return {hour: (offset, bytes(packed)) for hour, (offset, packed) in rows.items()}


async def remember(connection: asyncpg.Connection, rows: Mapping[Hour, tuple[int, bytes]]) -> None:
    """Write a batch's rows, inside its transaction."""
    if rows:
        await connection.execute(
            sql.query("applied", "remember_digests"),
            [hour.partition for hour in rows],
            [hour.start for hour in rows],
            [offset for offset, _ in rows.values()],
            [packed for _, packed in rows.values()],
        )


async def _read(connection: asyncpg.Connection, hours: Sequence[Hour]) -> dict[Hour, set[bytes]]:
    found: dict[Hour, set[bytes]] = {hour: set() for hour in hours}
    rows = await connection.fetch(
        sql.query("applied", "digests_of_hours"),
        [hour.partition for hour in hours],
        [hour.start for hour in hours],
    )
    for row in rows:
        found[Hour(row["partition"], int(row["hour"].timestamp()) // 3600)].update(_unpack(row["digests"]))
    return found


def _unpack(packed: bytes) -> Iterable[bytes]:
    return (packed[at : at + DIGEST_BYTES] for at in range(0, len(packed), DIGEST_BYTES))


def _find_repeated(repeated: set[int], indices: Sequence[int], marks: Sequence[Mark], applied: set[bytes]) -> None:
    """Add the events whose digest was applied before, or earlier in the same batch."""
    fresh: set[bytes] = set()
    for index in indices:
        digest = marks[index].digest
        if digest in applied or digest in fresh:
            repeated.add(index)
        else:
            fresh.add(digest)
