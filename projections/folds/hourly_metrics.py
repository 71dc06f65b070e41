"""hourly_metrics: the figures of hours, by the differences that all folds collected. Runs after them."""

from __future__ import annotations

from collections import Counter
from typing import Final

import asyncpg

from projections.folds.hour_figures import HourFigure, HourFigures, hour_of
from projections.folds.journal import Journal
from projections.folds.work import Work, write_differences
from projections.sql import query
from schemas.envelope import Envelope
from schemas.events import EVENT_TYPES, AdminActionTaken, MessageReceived, MessageSent

_COUNTED: Final[dict[type[Envelope], HourFigure]] = {
    MessageReceived: HourFigure.MESSAGES,
    MessageSent: HourFigure.MESSAGES_SENT,
    AdminActionTaken: HourFigure.ADMIN_ACTIONS,
}
"""Events of which each one counts; facts with a business identity are counted by the ledger."""


def fold(journal: Journal, hours: HourFigures) -> None:
    """Count the batch's events. Pure. The ledger has taken conflicts away already."""
    for event_class in EVENT_TYPES.values():
        counts = Counter(hour_of(entry.event.time) for entry in journal.of(event_class))
        figure = _COUNTED.get(event_class)
        for hour, count in counts.items():
            hours.add(hour, HourFigure.EVENTS, count)
            if figure is not None:
                hours.add(hour, figure, count)


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Add the batch's differences to the hours, and drop hours in which nothing is left."""
    fold(work.journal, work.hours)
    await write_differences(
        connection,
        [(hour, row) for hour, row in work.hours if hour >= work.horizons.hourly_metrics],
        add=query("hourly_metrics", "add_hours"),
        subtract=query("hourly_metrics", "subtract_hours"),
        drop_empty=query("hourly_metrics", "drop_empty_hours"),
    )
