"""Sessions: own actions with gaps of at most 30 minutes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from projections.folds.actions import Action, Kind
from schemas.activity import SESSION_GAP


class Session(NamedTuple):
    """From the first to the last action, and what was done between."""

    start: datetime
    end: datetime
    messages: int
    credits_spent: int
    purchases: int


def single(action: Action) -> Session:
    """Return the session of one action alone."""
    _, time, kind, amount = action
    if kind == 1:  # Kind.MESSAGE, as it is most of them
        return Session(time, time, 1, 0, 0)
    return Session(time, time, 0, amount if kind == Kind.CREDITS else 0, int(kind == Kind.PURCHASE))


def of_actions(actions: Iterable[Action]) -> list[Session]:
    """Return the sessions of one user's actions, in order of time: as `merge` of each alone, at half the cost."""
    found: list[Session] = []
    ordered = sorted(actions, key=_time)
    if not ordered:
        return found
    start = end = ordered[0][1]
    messages = credits_spent = purchases = 0
    for _, time, kind, amount in ordered:
        if time - end > SESSION_GAP:
            found.append(Session(start, end, messages, credits_spent, purchases))
            start = time
            messages = credits_spent = purchases = 0
        end = time
        if kind == 1:  # Kind.MESSAGE, as it is most of them
            messages += 1
        elif kind == Kind.CREDITS:
            credits_spent += amount
        elif kind == Kind.PURCHASE:
            purchases += 1
    found.append(Session(start, end, messages, credits_spent, purchases))
    return found


_time = itemgetter(1)
"""Of an action."""


def merge(pieces: Iterable[Session]) -> list[Session]:
    """Join pieces whose gap is at most 30 minutes, or that overlap; the result is in order of time."""
    merged: list[Session] = []
    ordered = sorted(pieces)
    if not ordered:
        return merged
    start, end, messages, credits_spent, purchases = ordered[0]
    for piece in ordered[1:]:
        if piece[0] - end <= SESSION_GAP:
            if piece[1] > end:
                end = piece[1]
            messages += piece[2]
            credits_spent += piece[3]
            purchases += piece[4]
        else:
            merged.append(Session(start, end, messages, credits_spent, purchases))
            start, end, messages, credits_spent, purchases = piece
    merged.append(Session(start, end, messages, credits_spent, purchases))
    return merged
