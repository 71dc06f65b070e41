"""A record of the log, as every reader takes it: the shape of aiokafka's ConsumerRecord."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol


class BareRecord(Protocol):
    """One record without its topic and partition; `timestamp` is the broker's, in milliseconds since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class LogRecord(BareRecord, Protocol):
    """One record and its place."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class PlacedRecord(NamedTuple):
    """A bare record at its place."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def placed(record: BareRecord, place: tuple[str, int]) -> PlacedRecord:
    """Return the record with its place, (topic, partition)."""
    return PlacedRecord(*place, record.offset, record.timestamp, record.key, record.value, record.headers)


CONTENT_TYPE_HEADER: Final = ("content-type", b"application/cloudevents+json; charset=UTF-8")
"""The header that every record of an event carries."""

REDRIVE_HEADER: Final = "redrive-of"
"""Set on a copy of a record that was refused before: `topic/partition/offset` of the original."""
