"""Differences to the figures of days, collected by every fold and written once a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from enum import IntEnum
from typing import NamedTuple


class Figure(IntEnum):
    """A counted column of `daily_metrics`; the value is its place in a row of differences."""

    ACTIVE_USERS = 0
    NEW_USERS = 1
    MESSAGES_RECEIVED = 2
    MESSAGES_SENT = 3
    REVENUE_CENTS = 4
    REFUNDED_CENTS = 5
    DISPUTE_LOST_CENTS = 6
    SUCCESSFUL_PAYMENTS = 7
    FAILED_PAYMENTS = 8
    AUTO_RECHARGE_TRIGGERS = 9
    CONTENT_UNLOCKS = 10
    CREDITS_SPENT = 11
    NEW_DISPUTES = 12


class DayFigure(NamedTuple):
    """One fact's part in one figure of a day."""

    day: date
    figure: Figure
    amount: int


class DayFigures:
    """Differences by day; taking away what was never added in this batch is meant: it was added before."""

    def __init__(self) -> None:
        self._days: dict[date, list[int]] = {}

    def add(self, day: date, figure: Figure, amount: int) -> None:
        """Add `amount`, which may be negative, to one figure of `day`."""
        row = self._days.get(day)
        if row is None:
            row = self._days[day] = [0] * len(Figure)
        row[figure] += amount

    def move(self, before: Iterable[DayFigure], after: Iterable[DayFigure]) -> None:
        """Replace a fact's parts by its new ones."""
        for day, figure, amount in before:
            self.add(day, figure, -amount)
        for day, figure, amount in after:
            self.add(day, figure, amount)

    def __iter__(self) -> Iterator[tuple[date, list[int]]]:
        """Yield the days that differ, the earliest first."""
        for day in sorted(self._days):
            if any(self._days[day]):
                yield day, self._days[day]
