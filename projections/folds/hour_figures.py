"""Differences to the figures of hours."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from projections.folds.differences import Differences


class HourFigure(IntEnum):
    """A counted column of `hourly_metrics`; the value is its place in a row of differences."""

    EVENTS = 0
    MESSAGES = 1
    MESSAGES_SENT = 2
    PAYMENTS = 3
    PAYMENT_FAILURES = 4
    REFUNDS = 5
    DISPUTES = 6
    DEAD_LETTERS = 7
    TIER_CHANGES = 8
    ADMIN_ACTIONS = 9


class HourFigures(Differences[datetime]):
    """Differences by the beginning of the hour, UTC."""

    def __init__(self) -> None:
        super().__init__(len(HourFigure))

    def count(self, time: datetime, figure: HourFigure, amount: int = 1) -> None:
        """Add to a figure of the hour in which `time` lies."""
        self.add(hour_of(time), figure, amount)

    def move(self, figure: HourFigure, before: datetime | None, after: datetime | None) -> None:
        """Count a fact at its new time, None where it does not count any more, and no longer at its old one."""
        if before is not None:
            self.count(before, figure, -1)
        if after is not None:
            self.count(after, figure)


def hour_of(time: datetime) -> datetime:
    """Return the beginning of the hour."""
    return time.replace(minute=0, second=0, microsecond=0)
