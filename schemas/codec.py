"""Bytes to events and back: the one rule of what is valid, for every reader and every writer.

The rule is a function of the record alone: key, value, headers, partition, broker timestamp. Of several
faults the first in this order is named: headers, no value, size, syntax, type, the other members of the
envelope, data, key, partition, `time` against the broker's, limits.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Set
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from .envelope import Envelope, check_limits
from .errors import InvalidEvent
from .events import BotEvent, Event, TierChanged
from .fields import LONGEST_SUBJECT_BYTES
from .headers import check_headers
from .limits import CURRENT_LIMITS, Limits, limits_at
from .partitioner import partition_of, partitions_of
from .plain import LIMIT_CHECKS, PlainEvent, plain, validator
from .reasons import Reason
from .records import CONTENT_TYPE_HEADER, BareRecord, LogRecord
from .refusals import refusal
from .syntax import check_syntax, is_plain
from .upcasters import UPCASTERS, upcast

__all__ = [
    "CONTENT_TYPE_HEADER",
    "Decoder",
    "LogRecord",
    "TierChangeDecoder",
    "decode_tier_change",
    "encode",
    "event_identity",
    "key_of",
]

AHEAD: Final = timedelta(hours=24)
"""How far `time` may be after the broker's timestamp."""

_REQUIRED: Final = frozenset({"specversion", "type"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_KEYS_KEPT: Final = 1 << 17
"""Keys whose partition a decoder remembers (working it out costs a third of decoding): some 20 MB."""

_EVENTS: Final[TypeAdapter[BotEvent]] = TypeAdapter(Event)
_TIER_CHANGES: Final[TypeAdapter[TierChanged]] = TypeAdapter(TierChanged)

E = TypeVar("E", bound=Envelope)


def _latest_time(timestamp: int) -> datetime:
    """Return the latest `time` allowed at a broker timestamp; any 64-bit timestamp has one."""
    try:
        return _EPOCH + timedelta(milliseconds=timestamp) + AHEAD
    except OverflowError:
        return _LAST if timestamp > 0 else _EPOCH


class _RecordDecoder(Generic[E]):
    """Decodes the records of one topic with `partition_count` partitions (None: any partition is right)."""

    def __init__(self, adapter: TypeAdapter[E], partition_count: int | None) -> None:
        if partition_count is not None and partition_count < 1:
            raise ValueError("a topic has at least one partition")
        self._validate = adapter.validator.validate_json
        self._partition_of: Callable[[bytes], int] | None = None
        if partition_count is not None:
            self._partition_of = lru_cache(_KEYS_KEPT)(partial(partition_of, partitions=partition_count))
        # Brokers stamp whole batches: what follows from a timestamp is worked out once for all of them.
        self._moment: tuple[int, datetime, Limits] = (0, _latest_time(0), limits_at(0))

    def decode(self, record: LogRecord) -> E:
        """Return the record's event, in its newest version.

        Raises InvalidEvent, and nothing else, where the rule is broken.
        """
        return self.decode_at(record, record.partition)

    def decode_at(self, record: BareRecord, partition: int, known: Container[bytes | None] = ()) -> E:
        """As `decode`, of a record on this partition; of the `known` keys it is known that they belong there."""
        headers = record.headers
        if headers and (len(headers) > 1 or headers[0] != CONTENT_TYPE_HEADER):
            check_headers(headers)
        value = record.value
        if value is None:
            raise InvalidEvent(Reason.SYNTAX, "the record has no value")
        if not is_plain(value):
            check_syntax(value)
        try:
            event: E = self._validate(value)
        except ValidationError as error:
            check_syntax(value)  # being plain proves nothing for a value that is no event
            raise refusal(error, value) from None
        # The defaults are for events built in Python; on the wire both members are required.
        if not event.__pydantic_fields_set__ >= _REQUIRED:
            raise InvalidEvent(Reason.ENVELOPE, "specversion or type is missing")
        key = record.key
        if key != event.subject.encode():
            raise InvalidEvent(Reason.KEY, "the key is not the subject")
        if key not in known and self._partition_of is not None and partition != self._partition_of(key):
            raise InvalidEvent(Reason.PARTITION, f"the key belongs on partition {self._partition_of(key)}")
        timestamp = record.timestamp
        moment, latest, limits = self._moment
        if timestamp != moment:
            latest, limits = self._look_up(timestamp)
        if event.time > latest:
            raise InvalidEvent(Reason.TIME, "time is more than 24 h after the broker's timestamp")
        event_class = event.__class__
        check = event_class.limit_check
        if check is not None:
            check(event.data.__dict__, limits)
        # What was sent is judged as it was sent; what is read is the newest version.
        return event if event_class not in UPCASTERS else upcast(event)  # type: ignore[return-value]

    def _look_up(self, timestamp: int) -> tuple[datetime, Limits]:
        self._moment = (timestamp, _latest_time(timestamp), limits_at(timestamp))
        return self._moment[1:]


class Decoder(_RecordDecoder[BotEvent]):
    """Decodes the bot's events, on a topic with `partition_count` partitions."""

    def __init__(self, partition_count: int) -> None:
        super().__init__(_EVENTS, partition_count)
        self._partition_count = partition_count
        self._place_of: Any = self._partition_of
        self._validate_plain: Callable[[bytes], PlainEvent] = self._make_validator

    def lying_on(self, partition: int, keys: Set[bytes | None], known: Container[bytes | None]) -> Set[bytes | None]:
        """Return those of the keys that belong on this partition; of the `known` ones it is known that they do.

        Keys that are longer than any subject are among them, wherever they belong: they cost too much to hash, and are
        refused for what they are.
        """
        strangers = [key for key in keys if key is not None and len(key) <= LONGEST_SUBJECT_BYTES and key not in known]
        places = partitions_of(strangers, self._partition_count)
        return keys - {key for key, place in zip(strangers, places, strict=True) if place != partition}

    def decode_plain(self, record: BareRecord, partition: int, known: Container[bytes | None] = ()) -> PlainEvent:
        """As `decode_at`, by the same rule, but return the event as a dictionary (`schemas.plain`), and faster.

        Members of its data that were not sent are absent.
        """
        headers, value, key = record.headers, record.value, record.key
        if headers and (len(headers) > 1 or headers[0] != CONTENT_TYPE_HEADER):
            check_headers(headers)
        event = None
        if value is not None:
            if not is_plain(value):
                check_syntax(value)
            try:  # noqa: SIM105  # suppress() costs as much as a tenth of the validation
                event = self._validate_plain(value)
            except ValidationError:
                pass
        timestamp = record.timestamp
        moment, latest, limits = self._moment
        if timestamp != moment:
            latest, limits = self._look_up(timestamp)
        # Whatever is not as it nearly always is: the slower way takes it, or says what is wrong.
        if (
            event is None
            or key != event["subject"].encode()
            or (key not in known and self._place_of(key) != partition)
            or event["time"] > latest
        ):
            return plain(self.decode_at(record, partition, known))
        check = LIMIT_CHECKS.get(event["type"])
        if check is not None:
            check(event["data"], limits)
        return event

    def _make_validator(self, value: bytes) -> PlainEvent:
        self._validate_plain = validator()
        return self._validate_plain(value)


class TierChangeDecoder(_RecordDecoder[TierChanged]):
    """Decodes tier changes, on a topic with `partition_count` partitions (None: any partition is right)."""

    def __init__(self, partition_count: int | None = None) -> None:
        super().__init__(_TIER_CHANGES, partition_count)


_any_partition: Final = TierChangeDecoder()


def decode_tier_change(record: LogRecord) -> TierChanged:
    """Return the record's tier change, wherever it lies. Raises InvalidEvent."""
    return _any_partition.decode(record)


def encode(event: Envelope) -> bytes:
    """Return the event's value on the log: members that were not set are left out, nulls that were set stay.

    The result is what a decoder takes. Raises InvalidEvent for a number beyond the newest limits, and for
    text that the syntax forbids.
    """
    check_limits(event, CURRENT_LIMITS)
    # Both have one possible value; set or not, they belong on the wire.
    event.model_fields_set.update(_REQUIRED)
    try:
        value = event.__pydantic_serializer__.to_json(event, exclude_unset=True)
    except ValueError:
        raise InvalidEvent(Reason.SYNTAX, "a string that UTF-8 can't carry") from None
    check_syntax(value)
    return value


def key_of(event: Envelope) -> bytes:
    """Return the record key of the event: its subject."""
    return event.subject.encode()


def event_identity(event: Envelope) -> tuple[str, str, datetime]:
    """Return what makes the event the same event wherever it appears: source, id, time."""
    return event.source, event.id, event.time
