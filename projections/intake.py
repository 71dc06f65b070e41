"""From fetched records to a batch: decode, skip what is invalid or was applied before, count both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from projections.applied import AppliedEvents, Mark
from projections.batch import Arrival
from projections.checkpoints import Lease, Move, Place
from schemas.codec import Decoder, TierChangeDecoder
from schemas.errors import InvalidEvent
from schemas.events import BotEvent, TierChanged
from schemas.records import REDRIVE_HEADER, LogRecord
from schemas.topics import Topics

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)

_ORIGINAL = re.compile(rb"(?P<topic>[A-Za-z0-9._-]+)/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})")

Decode = Callable[[LogRecord], BotEvent | TierChanged]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction applies: events seen for the first time, and how far each partition moves."""

    arrivals: list[Arrival]
    marks: list[Mark]
    """What to remember of the events, which are the first of `arrivals`; tier changes, whose table holds each id once,
    come after them and have none."""
    moves: list[Move]
    records: Mapping[Place, Sequence[LogRecord]]
    """The records as fetched, for the letter of one that the database refuses."""
    invalid: Counter[str] = field(default_factory=Counter)
    """Records that the contract refuses, by reason."""
    redriven: list[tuple[Place, int]] = field(default_factory=list)
    """Places of refused originals whose copies are among the arrivals."""

    def record_of(self, arrival: Arrival) -> LogRecord:
        """Return the record that an arrival was decoded from."""
        records = self.records[Place(arrival.topic, arrival.partition)]
        return next(record for record in records if record.offset == arrival.offset)


class Intake:
    """Decodes both topics by the one rule of `schemas`."""

    def __init__(self, topics: Topics, partition_counts: Mapping[str, int], applied: AppliedEvents) -> None:
        self._events_topic = topics.events.name
        self._applied = applied
        self._decoders: dict[str, Decode] = {
            topics.events.name: Decoder(partition_counts[topics.events.name]).decode,
            topics.tier_changes.name: TierChangeDecoder(partition_counts[topics.tier_changes.name]).decode,
        }

    async def batch(
        self,
        connection: asyncpg.Connection,
        fetched: Mapping[Place, Sequence[LogRecord]],
        positions: Mapping[Place, int],
        leases: Mapping[Place, Lease],
    ) -> Batch:
        """Return the batch of `fetched`; `positions` says for every partition that moves what is read next.

        Reads from the database which events were applied; changes nothing.
        """
        invalid: Counter[str] = Counter()
        refused: Counter[Place] = Counter()
        events: list[Arrival] = []
        others: list[Arrival] = []
        for place, records in fetched.items():
            arrivals, reasons = decode(records, place, self._decoders[place.topic])
            (events if place.topic == self._events_topic else others).extend(arrivals)
            invalid.update(reasons)
            refused[place] += reasons.total()
        sifted = await self._applied.sift(connection, events)
        arrivals = sifted.arrivals + others
        per_place = Counter(Place(arrival.topic, arrival.partition) for arrival in arrivals)
        moves = [
            _move(
                leases[place],
                position,
                fetched.get(place, ()),
                per_place[place],
                sifted.duplicates.get(place.partition, 0) if place.topic == self._events_topic else 0,
                refused[place],
            )
            for place, position in positions.items()
        ]
        return Batch(arrivals, sifted.marks, moves, fetched, invalid, _redriven(fetched, arrivals))


def decode(records: Sequence[LogRecord], place: Place, decoder: Decode) -> tuple[list[Arrival], Counter[str]]:
    """Decode one partition's records in order; what is invalid is left out and counted by reason."""
    topic, partition = place
    arrivals: list[Arrival] = []
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
        arrivals.append(Arrival(event, topic, partition, record.offset, appended_at))
    return arrivals, invalid


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


def _redriven(fetched: Mapping[Place, Sequence[LogRecord]], arrivals: Sequence[Arrival]) -> list[tuple[Place, int]]:
    """Return the originals that copies among the arrivals name in their header; an unreadable name is nobody's."""
    named: dict[tuple[str, int, int], tuple[Place, int]] = {}
    for place, records in fetched.items():
        for record in records:
            # Nearly all records carry the content type alone.
            if len(record.headers) < 2:
                continue
            for name, value in record.headers:
                if name == REDRIVE_HEADER and (original := _parse_place(value)) is not None:
                    named[(*place, record.offset)] = original
    if not named:
        return []
    applied = {(arrival.topic, arrival.partition, arrival.offset) for arrival in arrivals}
    return [original for copy, original in named.items() if copy in applied]


def _parse_place(value: bytes | None) -> tuple[Place, int] | None:
    found = _ORIGINAL.fullmatch(value or b"")
    if found is None:
        return None
    return Place(found["topic"].decode(), int(found["partition"])), int(found["offset"])
