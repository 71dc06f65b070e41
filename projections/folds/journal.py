"""A batch, sorted out by event class in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import merge
from typing import Any, NamedTuple

from projections.batch import Arrival
from projections.briefs import BRIEF, BRIEFS, brief
from schemas.envelope import Envelope, UserEvent


class Entry(NamedTuple):
    """An event of the batch. `position` orders the entries of a batch as the log has them.

    `telegram_id` is 0 for an event that is about no user.
    """

    position: int
    telegram_id: int
    event: Any
    arrival: Arrival


class Journal:
    """The batch's events by class (of the brief form where there is one), and `users`: everyone an event is about."""

    def __init__(self, arrivals: Iterable[Arrival]) -> None:
        by_class: dict[type, list[Entry]] = {}
        users: set[int] = set()
        subjects: dict[type, bool] = {}
        for position, arrival in enumerate(arrivals):
            event: Any = arrival.event
            event_class: type = type(event)
            if event_class in BRIEF:
                event = brief(event)
                event_class = type(event)
            entries = by_class.get(event_class)
            if entries is None:
                entries = by_class[event_class] = []
                # Once a class: asking a model what it is an instance of is slow.
                subjects[event_class] = issubclass(event_class, UserEvent)
            if event_class in BRIEFS:
                telegram_id = event.telegram_id
                users.add(telegram_id)
            elif subjects[event_class]:
                telegram_id = int(event.subject)
                users.add(telegram_id)
            else:
                telegram_id = 0
            entries.append(Entry(position, telegram_id, event, arrival))
        self._by_class = by_class
        self.users = users

    def of(self, *classes: type) -> Sequence[Entry]:
        """Return the entries of these event classes in the order of the log."""
        groups = [self._by_class[event_class] for event_class in classes if event_class in self._by_class]
        if len(groups) == 1:
            return groups[0]
        return list(merge(*groups, key=_position))


def _position(entry: Entry) -> int:
    return entry.position


def order_of(event: Envelope) -> tuple[datetime, str, str]:
    """Return (time, source, id): of several facts with one identity the smallest supplies the fields."""
    return (event.time, event.source, event.id)
