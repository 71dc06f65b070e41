"""What is asked of a rebuild, who is told about it, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from projections.generations.compare import Difference, Span
from projections.generations.moved import Moved
from projections.sources.source import LogAddress

WAIT_SECONDS: Final = 60.0
"""How long a swap waits for whoever is in its way."""


class Watcher(Protocol):
    """Who is told how far a rebuild is."""

    def step(self, title: str, total: int) -> None:
        """A step begins; `total` is how many units it has."""

    def moved(self, units: int) -> None:
        """So many units more are done."""

    def tell(self, line: str) -> None:
        """Something that a person should know now."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. `agree` gets the difference, if there is one, and decides about the swap."""

    workers: int
    dry_run: bool
    agree: Callable[[Sequence[Difference]], bool]
    projection: str | None = None
    """Correct the rows of this projection alone, instead of swapping."""
    wait_seconds: float = WAIT_SECONDS
    span: Span | None = None
    """Only look, and only at rows that are about a time in it."""
    log: LogAddress | None = None
    """Read the log there instead of from the broker."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rebuild has found and done."""

    records: int
    fold_seconds: float
    complete_seconds: float
    compare_seconds: float
    differences: list[Difference]
    applied: bool
    """Whether the new tables, or the rows that differ, were put in place."""
    moved: list[Moved] = field(default_factory=list)
    """Entries of the audit trail that are where a redriven copy came: no difference."""

    @property
    def records_per_second(self) -> float:
        """The rate of the fold."""
        return self.records / self.fold_seconds if self.fold_seconds else 0.0
