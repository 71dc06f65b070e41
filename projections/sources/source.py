"""What a replay asks of a log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from schemas.errors import ConfigurationError
from schemas.records import LogRecord

Passed = Callable[[int], object]
"""Told how many offsets more lie behind a reading."""


def tell_nobody(_: int) -> None:
    """Whom a reading tells that nobody waits for."""


class Bounds(NamedTuple):
    """A partition's first offset, and the one after its last."""

    first: int
    end: int


def check_reach(topic: str, positions: Mapping[int, int], bounds: Mapping[int, Bounds]) -> None:
    """Raise ConfigurationError where tables, whose positions by partition these are, have come further than the log."""
    for partition, position in positions.items():
        end = bounds[partition].end if partition in bounds else 0
        if position > end:
            raise ConfigurationError(
                f"{topic}/{partition} is applied up to {position:,}, but the log ends at {end:,}: this database "
                "and this log don't belong together, or the export is older than the tables (settings "
                "DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, BOTPULSE_TOPIC_PREFIX)"
            )


class LogSource(Protocol):
    """A log that can be read again, as often as one likes; changes nothing anywhere."""

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        """Return every partition of the topic with what it holds now.

        Raises ConfigurationError for a topic that the source does not have.
        """
        ...

    def read(
        self,
        topic: str,
        start: Mapping[int, int],
        end: Mapping[int, int],
        key: bytes | None = None,
        passed: Passed = tell_nobody,
    ) -> AsyncGenerator[tuple[int, Sequence[LogRecord]], None]:
        """Yield (partition, records) until every partition of `end` is read from `start` (0 where it names none) up to,
        not including, its end.

        The records of one partition come in the order of the log; between partitions there is none. Offsets without a
        record (transaction markers, aborted records) are passed over. With `key` only the records of that key come.
        `passed` is told of all offsets from start to end, one partition's or another's, whatever there is at them.

        Who stops earlier closes it before the next call. Raises ConfigurationError where the source no longer has, or
        does not have yet, what was asked for.
        """
        ...


class LogAddress(Protocol):
    """Where a log is; can be sent to another process, which opens it there."""

    def open(self) -> AbstractAsyncContextManager[LogSource]:
        """Open the log for reading. Raises ConfigurationError where that can't be done."""
        ...
