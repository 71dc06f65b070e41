"""Differences to counted rows, collected by every fold and written once a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar


class _Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=_Ordered)


class Differences(Generic[K]):
    """By the row's key, a number for each of its figures; taking away what this batch has not added is meant: it was
    added before."""

    def __init__(self, figures: int) -> None:
        self._figures = figures
        self._rows: dict[K, list[int]] = {}

    def add(self, key: K, figure: int, amount: int) -> None:
        """Add `amount`, which may be negative, to one figure of a row."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = [0] * self._figures
        row[figure] += amount

    def __iter__(self) -> Iterator[tuple[K, Sequence[int]]]:
        """Yield the rows that differ, in the order of their keys."""
        for key in sorted(self._rows):
            if any(self._rows[key]):
                yield key, self._rows[key]
