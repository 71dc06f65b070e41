"""hourly_metrics: the figures of hours, by the differences that all folds collected. Runs after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from projections.briefs import BRIEFS, Received, Sent
from projections.folds.hour_figures import HourFigure, HourFigures, hour_of
from projections.folds.journal import Entry, Journal
from projections.folds.work import Work, write_differences
from projections.sql import query
from schemas.events import EVENT_TYPES, AdminActionTaken

_COUNTED: Final[dict[type, HourFigure]] = {
    Received: HourFigure.MESSAGES,
    Sent: HourFigure.MESSAGES_SENT,
    AdminActionTaken: HourFigure.ADMIN_ACTIONS,
}
"""Events of which each one counts; facts with a business identity are counted by the ledger."""


def fold(journal: Journal, hours: HourFigures) -> None:
    """Count the batch's events. Pure. The ledger has taken conflicts away already."""
    for event_class in {*EVENT_TYPES.values(), *BRIEFS}:
        figure = _COUNTED.get(event_class)
        for hour, count in _runs(journal.of(event_class)):
            hours.add(hour, HourFigure.EVENTS, count)
            if figure is not None:
                hours.add(hour, figure, count)


_HOUR: Final = timedelta(hours=1)


def _runs(entries: Iterable[Entry]) -> Iterator[tuple[datetime, int]]:
    """Yield an hour, and how many entries in a row lie in it. Comparing times is far cheaper than making hours of them,
    and the next event mostly lies in the same hour."""
    hour = end = datetime.min.replace(tzinfo=UTC)
    count = 0
    for _, _, event, _ in entries:
        if hour <= event.time < end:
            count += 1
        else:
            if count:
                yield hour, count
            hour, count = hour_of(event.time), 1
            end = hour + _HOUR
    if count:
        yield hour, count


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
