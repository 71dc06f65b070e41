"""Frequent events, reduced to what folds read of them.

Five in six events of the simulated bot are messages and credits. A batch holds them until it is written, and fold after
fold passes over them. As decoded they are a kilobyte in a dozen pieces, most of which the processor would fetch from
memory again in every pass. So they are made brief as soon as they are decoded and marked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from schemas.events import CreditsGranted, CreditsSpent, MessageReceived, MessageSent


class Received(NamedTuple):
    """A MessageReceived."""

    id: str
    telegram_id: int
    time: datetime
    kind: str


class Sent(NamedTuple):
    """A MessageSent."""

    id: str
    telegram_id: int
    time: datetime


class Granted(NamedTuple):
    """A CreditsGranted."""

    id: str
    telegram_id: int
    time: datetime
    credits: int


class Spent(NamedTuple):
    """A CreditsSpent."""

    id: str
    telegram_id: int
    time: datetime
    credits: int


Brief: TypeAlias = Received | Sent | Granted | Spent
E = TypeVar("E")


def brief(event: E) -> E | Brief:
    """Return the event, in its brief form where it has one."""
    make = BRIEF.get(type(event))
    return event if make is None else make(event)


def type_of(event_class: type) -> str:
    """Return the type of the events of a class, or of those that this is the brief form of."""
    whole: Any = _WHOLE.get(event_class, event_class)
    return str(whole.model_fields["type"].default)


BRIEF: Final[Mapping[type, Callable[[Any], Brief]]] = {
    MessageReceived: lambda event: Received(event.id, int(event.subject), event.time, event.data.kind),
    MessageSent: lambda event: Sent(event.id, int(event.subject), event.time),
    CreditsGranted: lambda event: Granted(event.id, int(event.subject), event.time, event.data.credits),
    CreditsSpent: lambda event: Spent(event.id, int(event.subject), event.time, event.data.credits),
}
"""What makes an event of a class brief; all others stay as they are."""
_WHOLE: Final[Mapping[type, type]] = {
    Received: MessageReceived,
    Sent: MessageSent,
    Granted: CreditsGranted,
    Spent: CreditsSpent,
}
BRIEFS: Final = frozenset(_WHOLE)
