"""Differences to the figures of days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import IntEnum
from typing import NamedTuple

from projections.folds.differences import Differences


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


class DayFigures(Differences[date]):
    """Differences by UTC day."""

    def __init__(self) -> None:
        super().__init__(len(Figure))

    def move(self, before: Iterable[DayFigure], after: Iterable[DayFigure]) -> None:
        """Replace a fact's parts by its new ones."""
        for day, figure, amount in before:
            self.add(day, figure, -amount)
        for day, figure, amount in after:
            self.add(day, figure, amount)
