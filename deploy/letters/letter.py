"""One dead letter: the refused record, why it was refused, and what became of it since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from schemas.dead_letters import split_headers
from schemas.redrive import Original


class State(StrEnum):
    """What became of a letter."""

    OPEN = "open"
    REDRIVEN = "redriven"
    """A copy is on the log, and nobody has refused it."""
    REFUSED_AGAIN = "refused again"
    """The latest copy has a letter of its own: that one counts now."""
    ACCEPTED = "accepted"
    """A person decided that the event stays out of the tables."""


@dataclass(slots=True)
class Letter:
    """A letter and the copies of its record; the record's parts are None where they were cut off."""

    place: Original
    """Where the refused record is."""
    stage: str
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    is_cut: bool
    """Whether key, value or headers are not whole: the record itself is on the log."""
    written_ms: int
    """The broker's time of the letter, milliseconds since 1970."""
    copies: list[Original] = field(default_factory=list)
    state: State = State.OPEN

    @property
    def identity(self) -> tuple[Original, str]:
        """What makes two letters the same letter."""
        return self.place, self.stage

    @property
    def user(self) -> int | None:
        """The user whom the record's key names, if it names one."""
        key = self.key or b""
        return int(key) if key.isdigit() and len(key) < 20 else None


def read_letter(record: Any) -> Letter | None:
    """Return a record of the topic of dead letters as a letter; None for one that was not written as such."""
    headers, ours = split_headers(record.headers)
    try:
        place = Original(ours["dl-topic"].decode(), int(ours["dl-partition"]), int(ours["dl-offset"]))
        stage, reason, detail = (ours[f"dl-{name}"].decode(errors="replace") for name in ("stage", "reason", "detail"))
    except (KeyError, ValueError, AttributeError):
        return None
    is_cut = not ours.keys().isdisjoint({"dl-truncated", "dl-key-length", "dl-headers-dropped"})
    return Letter(place, stage, reason, detail, record.key, record.value, headers, is_cut, record.timestamp)
