"""Copies of refused records: how they name their originals.

A copy has key, value and headers of its original, and says in headers of its own which record it is a copy of, and
which stage had refused that one. The original's event counts once: whoever has accepted the original skips the copy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from .records import REDRIVE_HEADER

STAGE_HEADER: Final = "redrive-stage"
"""The stage that refused the original: what only projections refused, streams has folded."""

_PLACE = re.compile(rb"(?P<topic>[A-Za-z0-9._-]+)/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})")


class Original(NamedTuple):
    """The place of a record that was refused."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def originals_of(headers: Sequence[tuple[str, bytes]]) -> list[Original]:
    """Return the records that this one is a copy of: the last named is the latest copy; an unreadable name is none."""
    # Nearly all records carry the content type alone.
    if len(headers) < 2:
        return []
    found = [_PLACE.fullmatch(value or b"") for name, value in headers if name == REDRIVE_HEADER]
    return [Original(f["topic"].decode(), int(f["partition"]), int(f["offset"])) for f in found if f is not None]


def only_projections_refused(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether the record is a copy of one that streams has accepted."""
    return len(headers) > 1 and [value for name, value in headers if name == STAGE_HEADER][-1:] == [b"projections"]


def headers_of_copy(headers: Sequence[tuple[str, bytes]], original: Original, stage: str) -> list[tuple[str, bytes]]:
    """Return the headers of a copy of a record that had `headers`."""
    kept = [(name, value) for name, value in headers if name != STAGE_HEADER]
    return [*kept, (REDRIVE_HEADER, str(original).encode()), (STAGE_HEADER, stage.encode())]
