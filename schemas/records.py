"""A record of the log, as every reader takes it: the shape of aiokafka's ConsumerRecord."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol


class LogRecord(Protocol):
    """One record and its place; `timestamp` is the broker's, in milliseconds since 1970."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
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


CONTENT_TYPE_HEADER: Final = ("content-type", b"application/cloudevents+json; charset=UTF-8")
"""The header that every record of an event carries."""

REDRIVE_HEADER: Final = "redrive-of"
"""Set on a copy of a record that was refused before: `topic/partition/offset` of the original."""
