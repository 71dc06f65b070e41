"""The sessions of the books: own actions of a user with gaps of at most half an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

_GAP = timedelta(minutes=30)


class Act(NamedTuple):
    """One own action."""

    at: datetime
    messages: int
    credits_spent: int
    purchases: int


def sessions_of(user: str, acts: list[Act]) -> Iterator[dict[str, Any]]:
    """The sessions of one user; `acts` are in the order of time."""
    current: list[Act] = []
    for act in acts:
        if current and act.at - current[-1].at > _GAP:
            yield _session(user, current)
            current = []
        current.append(act)
    if current:
        yield _session(user, current)


def _session(user: str, acts: list[Act]) -> dict[str, Any]:
    start, end = acts[0].at, acts[-1].at
    return {
        "telegram_id": user,
        "session_start": start.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "session_end": end.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "time_spent_seconds": (end - start).total_seconds(),
        "messages_in_session": sum(act.messages for act in acts),
        "credits_spent": sum(act.credits_spent for act in acts),
        "purchases_in_session": sum(act.purchases for act in acts),
    }
