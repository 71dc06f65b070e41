"""Frequent events, reduced to what folds read of them.

Five in six events of a busy bot are messages and credits. A batch holds them until it is written, and fold after fold
passes over them. As decoded they are a kilobyte in a dozen pieces, most of which the processor would fetch from memory
again in every pass. So they are made brief as soon as they are decoded and marked.
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

    @property
    def type(self) -> str:
        """The event's type."""
        return _type_of(MessageReceived)


class Sent(NamedTuple):
    """A MessageSent."""

    id: str
    telegram_id: int
    time: datetime

    @property
    def type(self) -> str:
        """The event's type."""
        return _type_of(MessageSent)


class Granted(NamedTuple):
    """A CreditsGranted."""

    id: str
    telegram_id: int
    time: datetime
    credits: int

    @property
    def type(self) -> str:
        """The event's type."""
        return _type_of(CreditsGranted)


class Spent(NamedTuple):
    """A CreditsSpent."""

    id: str
    telegram_id: int
    time: datetime
    credits: int

    @property
    def type(self) -> str:
        """The event's type."""
        return _type_of(CreditsSpent)


Brief: TypeAlias = Received | Sent | Granted | Spent
E = TypeVar("E")


def _type_of(event_class: Any) -> str:
    return str(event_class.model_fields["type"].default)


def brief(event: E) -> E | Brief:
    """Return the event, in its brief form where it has one."""
    make = BRIEF.get(type(event))
    return event if make is None else make(event)


BRIEF: Final[Mapping[type, Callable[[Any], Brief]]] = {
    MessageReceived: lambda event: Received(event.id, int(event.subject), event.time, event.data.kind),
    MessageSent: lambda event: Sent(event.id, int(event.subject), event.time),
    CreditsGranted: lambda event: Granted(event.id, int(event.subject), event.time, event.data.credits),
    CreditsSpent: lambda event: Spent(event.id, int(event.subject), event.time, event.data.credits),
}
"""What makes an event of a class brief; all others stay as they are."""
BRIEFS: Final = frozenset({Received, Sent, Granted, Spent})
