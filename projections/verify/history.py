"""One subject's records in the order of the log: what became of each, and the user that they amount to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from projections.batch import Arrival
from projections.verify.user import User
from schemas.errors import InvalidEvent
from schemas.events import TierChanged
from schemas.plain import CONTENT_TYPES, PlainEvent
from schemas.records import LogRecord

STREAMS_MEMORY: Final = 64
"""How many of a user's latest events streams recognises a repeated one among, where it is not about money."""

_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


class Verdict(StrEnum):
    """What became of a record."""

    COUNTED = "counted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    INVALID = "invalid"
    REFUSED = "refused"
    """By the database: it is in refused_events."""


_COUNTED: Final = Verdict.COUNTED


class Entry(NamedTuple):
    """A record, its event where it is one, and why it counts nothing where it doesn't."""

    record: LogRecord
    event: PlainEvent | None
    verdict: Verdict
    why_not: str


Judgement = tuple[PlainEvent | None, Verdict, str]
"""An entry without its record."""


class History:
    """Everything under one key of bot.events.

    `user` is None for the key of a content item, and for one under which no valid event came. `refused` are the
    offsets, in this partition, of events whose rows the database refused.
    """

    def __init__(self, decode: Callable[[LogRecord, int], PlainEvent], refused: Collection[int] = ()) -> None:
        self.user: User | None = None
        self.last_valid: int = -1
        """The offset of the last valid record, repeated or not: where streams' aggregate stands that has it all."""
        self.beyond_memory = False
        """Whether an event was repeated so late that streams may count it again, unless it is about money."""
        self._decode = decode
        self._refused = refused
        self._seen: dict[tuple[str, str, datetime], tuple[int, int]] = {}
        self.counted = 0
        """How many records have counted."""
        self._missing: set[tuple[str, str, datetime]] = set()

    @property
    def lacks_refused(self) -> bool:
        """Whether the database has refused an event, which streams has folded, and no copy of it came since."""
        return bool(self._missing)

    def read(self, record: LogRecord) -> Entry:
        """Take the next record in."""
        return Entry(record, *self.judge(record))

    def judge(self, record: LogRecord) -> Judgement:
        """Take the next record in; returns its entry without the record."""
        try:
            event = self._decode(record, record.partition)
        except InvalidEvent as error:
            return None, Verdict.INVALID, f"{error.reason.value}: {error.detail}"
        self.last_valid = offset = record.offset
        identity = (event["source"], event["id"], event["time"])
        seen = self._seen.get(identity)
        if seen is not None:
            first_offset, number = seen
            self.beyond_memory |= self.counted - number >= STREAMS_MEMORY
            return event, Verdict.DUPLICATE, f"the same event as {record.partition}/{first_offset}"
        if offset in self._refused:
            self._missing.add(identity)
            return event, Verdict.REFUSED, "the database refused its rows"
        if self._missing:
            self._missing.discard(identity)
        self._seen[identity] = (offset, self.counted + 1)
        conflict = None
        if event["type"] not in CONTENT_TYPES:
            if self.user is None:
                self.user = User(int(event["subject"]))
            conflict = self.user.apply(event, broker_time(record.timestamp))
        if conflict is not None:
            return event, Verdict.CONFLICT, conflict
        self.counted += 1
        return event, _COUNTED, ""

    def take_tier_changes(self, arrivals: Iterable[Arrival]) -> None:
        """Add the tier changes of the same key."""
        for arrival in arrivals:
            assert isinstance(arrival.event, TierChanged)
            if self.user is None:
                self.user = User(int(arrival.event.subject))
            self.user.take_tier_change(arrival.event, arrival.partition, arrival.offset)


def arrival_of(event: Any, record: LogRecord) -> Arrival:
    """Return a decoded record as the fold takes it."""
    return Arrival(event, record.topic, record.partition, record.offset, broker_time(record.timestamp))


@lru_cache(maxsize=1024)  # brokers stamp whole batches
def broker_time(timestamp: int) -> datetime:
    """Return a timestamp as a time; what no calendar holds becomes the nearest time that one does."""
    try:
        return _1970 + timedelta(milliseconds=timestamp)
    except OverflowError:
        return _LAST if timestamp > 0 else _1970
