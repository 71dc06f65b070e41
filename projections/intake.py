"""From fetched records to a batch: decode, skip what is invalid or was applied before, count both.

Decoding needs no database and runs ahead of the writing (see `prefetch`); what was applied before is looked up when the
batch's turn has come.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Final

import asyncpg

from projections.applied import AppliedEvents, Mark, Marker
from projections.batch import Arrival, DeadLetter
from projections.briefs import brief
from projections.checkpoints import Lease, Move, Place
from projections.letter_decoder import decode_letter
from schemas.codec import Decoder, TierChangeDecoder
from schemas.errors import InvalidEvent, ServiceStopped
from schemas.events import BotEvent, TierChanged
from schemas.records import LogRecord
from schemas.redrive import originals_of
from schemas.topics import Topics

SLICE_RECORDS: Final = 100
"""Decoded in one go: less than a millisecond, which is how long an answer of the database waits for its reader."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)

Decode = Callable[[LogRecord], BotEvent | TierChanged | DeadLetter]


@dataclass(slots=True)
class Decoded:
    """Records as fetched, in the order of the log within each partition, and what follows from them alone."""

    begins: dict[Place, int] = field(default_factory=dict)
    """Where each partition that moves was read from."""
    positions: dict[Place, int] = field(default_factory=dict)
    """What is read next of each: past its last record and the gap behind it, if any."""
    records: dict[Place, list[LogRecord]] = field(default_factory=dict)
    events: list[Arrival] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    """One for each of `events`."""
    others: list[Arrival] = field(default_factory=list)
    """Tier changes and dead letters, whose tables hold each identity once."""
    refused: Counter[Place] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    """Records that the contract refuses, by reason; `refused` counts them by partition."""
    count: int = 0
    """Of records."""
    size: int = 0
    """Of their values, in bytes."""
    seconds: float = 0.0
    """What decoding took, pauses left out."""

    def append(self, later: Decoded) -> None:
        """Add what was read after this."""
        for place, begin in later.begins.items():
            if self.positions.get(place, begin) != begin:
                raise ServiceStopped(f"{place}: read up to {self.positions[place]}, and then from {begin} on")
            self.begins.setdefault(place, begin)
        self.positions |= later.positions
        for place, records in later.records.items():
            self.records.setdefault(place, []).extend(records)
        self.events += later.events
        self.marks += later.marks
        self.others += later.others
        self.refused += later.refused
        self.invalid += later.invalid
        self.count += later.count
        self.size += later.size
        self.seconds += later.seconds


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction applies: events seen for the first time, and how far each partition moves."""

    arrivals: list[Arrival]
    marks: list[Mark]
    """What to remember of the events, which are the first of `arrivals`; tier changes and dead letters, of whose
    tables each holds an identity once, come after them and have none."""
    moves: list[Move]
    records: Mapping[Place, Sequence[LogRecord]]
    """The records as fetched, for the letter of one that the database refuses."""
    invalid: Counter[str] = field(default_factory=Counter)
    """Records that the contract refuses, by reason."""
    redriven: list[tuple[Place, int]] = field(default_factory=list)
    """Places of refused originals whose copies are among the arrivals."""
    letters: int = 0
    """How many of the arrivals are dead letters, which are no events."""

    def record_of(self, arrival: Arrival) -> LogRecord:
        """Return the record that an arrival was decoded from."""
        records = self.records[Place(arrival.topic, arrival.partition)]
        return next(record for record in records if record.offset == arrival.offset)


class Intake:
    """Decodes events and tier changes by the one rule of `schemas`, and dead letters by their headers."""

    def __init__(self, topics: Topics, partition_counts: Mapping[str, int], applied: AppliedEvents) -> None:
        self._events_topic = topics.events.name
        self._applied = applied
        self._decoders: dict[str, Decode] = {
            topics.events.name: Decoder(partition_counts[topics.events.name]).decode,
            topics.tier_changes.name: TierChangeDecoder(partition_counts[topics.tier_changes.name]).decode,
            topics.dead_letters.name: decode_letter,
        }

    async def decode(self, fetched: Mapping[Place, Sequence[LogRecord]]) -> Decoded:
        """Decode what was fetched, in slices: whoever waits for the database goes on between two of them."""
        decoded = Decoded()
        for place, records in fetched.items():
            decoder = self._decoders[place.topic]
            mark = Marker(place.partition) if place.topic == self._events_topic else None
            decoded.records[place] = list(records)
            decoded.count += len(records)
            decoded.size += sum(len(record.value or b"") for record in records)
            for start in range(0, len(records), SLICE_RECORDS):
                began = time.perf_counter()
                arrivals, marks, reasons = decode(records[start : start + SLICE_RECORDS], place, decoder, mark)
                if mark is not None:
                    decoded.events += arrivals
                    decoded.marks += marks
                else:
                    decoded.others += arrivals
                if reasons:
                    decoded.invalid.update(reasons)
                    decoded.refused[place] += reasons.total()
                decoded.seconds += time.perf_counter() - began
                await asyncio.sleep(0)
        return decoded

    async def batch(self, connection: asyncpg.Connection, decoded: Decoded, leases: Mapping[Place, Lease]) -> Batch:
        """Return the batch of what was decoded. Reads from the database which events were applied; changes nothing.

        Raises ServiceStopped where a partition was not read from its checkpoint on.
        """
        for place, begin in decoded.begins.items():
            if begin != leases[place].next_offset:
                raise ServiceStopped(f"{place}: read from {begin} on, the checkpoint is at {leases[place].next_offset}")
        sifted = await self._applied.sift(connection, decoded.events, decoded.marks)
        arrivals = sifted.arrivals + decoded.others
        per_place = Counter(map(_place_of, arrivals))
        moves = [
            _move(
                leases[place],
                position,
                decoded.records.get(place, ()),
                per_place[place],
                sifted.duplicates.get(place.partition, 0) if place.topic == self._events_topic else 0,
                decoded.refused[place],
            )
            for place, position in decoded.positions.items()
        ]
        # A letter carries its record's headers, that of a redrive too: only an event is a copy.
        redriven = _redriven(decoded.records, sifted.arrivals)
        letters = sum(isinstance(arrival.event, DeadLetter) for arrival in decoded.others)
        return Batch(arrivals, sifted.marks, moves, decoded.records, decoded.invalid, redriven, letters)


def decode(
    records: Sequence[LogRecord], place: Place, decoder: Decode, mark: Callable[[Any], Mark] | None = None
) -> tuple[list[Arrival], list[Mark], Counter[str]]:
    """Decode one partition's records in order; what is invalid is left out and counted by reason.

    With `mark` also what is to be remembered of each event: its brief form does not tell.
    """
    topic, partition = place
    arrivals: list[Arrival] = []
    marks: list[Mark] = []
    invalid: Counter[str] = Counter()
    # Brokers stamp whole batches: one conversion does for all of them.
    timestamp, appended_at = 0, _EPOCH
    for record in records:
        try:
            event = decoder(record)
        except InvalidEvent as error:
            invalid[error.reason.value] += 1
            continue
        if record.timestamp != timestamp:
            timestamp = record.timestamp
            appended_at = broker_time(timestamp)
        if mark is not None:
            marks.append(mark(event))
        arrivals.append(Arrival(brief(event), topic, partition, record.offset, appended_at))
    return arrivals, marks, invalid


def broker_time(timestamp: int) -> datetime:
    """Return a record's timestamp as a time; what no calendar holds becomes the nearest time that one does."""
    try:
        return _EPOCH + timedelta(milliseconds=timestamp)
    except OverflowError:
        return _LATEST if timestamp > 0 else _EPOCH


def _move(
    lease: Lease, position: int, records: Sequence[LogRecord], applied: int, duplicates: int, invalid: int
) -> Move:
    last = records[-1] if records else None
    return Move(
        place=lease.place,
        epoch=lease.epoch,
        expected_offset=lease.next_offset,
        next_offset=position,
        last_record=last,
        last_appended_at=None if last is None else broker_time(last.timestamp),
        applied=applied,
        duplicates=duplicates,
        invalid=invalid,
    )


_place_of = itemgetter(1, 2)
"""Topic and partition of an arrival."""


def _redriven(fetched: Mapping[Place, Sequence[LogRecord]], arrivals: Sequence[Arrival]) -> list[tuple[Place, int]]:
    """Return the originals that copies among the arrivals name in their headers."""
    named = {
        (*place, record.offset): originals
        for place, records in fetched.items()
        for record in records
        if (originals := originals_of(record.headers))
    }
    if not named:
        return []
    applied = {(arrival.topic, arrival.partition, arrival.offset) for arrival in arrivals}
    return [
        (Place(original.topic, original.partition), original.offset)
        for copy, originals in named.items()
        if copy in applied
        for original in originals
    ]
