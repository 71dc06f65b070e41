"""Where stored and folded rows differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from projections.verify.rows import Key, Row, key_columns

NO_ROW: Final = "no row"
_KEPT: Final = 1_000


class Event(NamedTuple):
    """An event that a difference is about, or what is on its place in the log."""

    topic: str
    partition: int
    offset: int
    what: str
    """The kind of the event, and what became of it where it was not counted."""


class Difference(NamedTuple):
    """One value on which the two disagree; `column` is None where one of them has no row."""

    table: str
    key: dict[str, Any]
    column: str | None
    stored: Any
    folded: Any
    events: tuple[Event, ...] = ()

    @property
    def subject(self) -> str:
        """The row's key as text."""
        return ", ".join(f"{name} {value}" for name, value in self.key.items())


@dataclass
class Differences:
    """How many there are, by table, and the first thousand."""

    counts: dict[str, int] = field(default_factory=dict)
    kept: list[Difference] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def full(self) -> bool:
        """Whether no more are kept."""
        return len(self.kept) >= _KEPT

    def add(self, difference: Difference) -> None:
        """Count one more."""
        self.counts[difference.table] = self.counts.get(difference.table, 0) + 1
        if not self.full:
            self.kept.append(difference)

    def merge(self, other: Differences) -> None:
        """Add those of another part."""
        for table, count in other.counts.items():
            self.counts[table] = self.counts.get(table, 0) + count
        self.kept += other.kept[: max(0, _KEPT - len(self.kept))]


def compare(table: str, stored: Mapping[Key, Row], folded: Mapping[Key, Row]) -> Iterator[tuple[Key, Difference]]:
    """Yield every difference between the rows of a table, by the row's key."""
    if stored == folded:
        return
    for key in {**folded, **stored}:
        name = dict(zip(key_columns(table), key, strict=True))
        is_there, wanted = stored.get(key), folded.get(key)
        if is_there is None:
            yield key, Difference(table, name, None, NO_ROW, "a row")
        elif wanted is None:
            yield key, Difference(table, name, None, "a row", NO_ROW)
        elif is_there != wanted:
            for column in {**wanted, **is_there}:
                if is_there.get(column) != wanted.get(column):
                    yield key, Difference(table, name, column, is_there.get(column), wanted.get(column))
