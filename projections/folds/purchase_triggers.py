"""purchase_triggers: which kinds of events come in the 30 minutes before a purchase; and user_offers, which it needs.

Of users with a purchase, an offer or a late action in the batch, what is stored around these moments is read, and the
purchases in it are judged twice: without the batch and with it. The difference is written, whatever the order of
arrival. A purchase that the batch does not touch is judged alike both times, however much of its past was read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from struct import Struct
from typing import Final

import asyncpg

from projections.folds.actions import PACKED, Action, Kind, microseconds
from projections.folds.journal import Entry
from projections.folds.sessions import Session
from projections.folds.work import PURCHASES, REVENUE_CENTS, Triggers, Work, columns, write_differences
from projections.sql import query
from schemas.activity import SESSION_GAP
from schemas.events import ContentOffered

_BEFORE: Final = timedelta(minutes=30)
_BEFORE_MICROSECONDS: Final = _BEFORE // timedelta(microseconds=1)
_OFFER: Final = 6
EVENT_TYPES: Final = {
    Kind.MESSAGE: "message.received",
    Kind.CREDITS: "credits.spent",
    Kind.PURCHASE: "payment.succeeded",
    Kind.VIEW: "content.viewed",
    Kind.UNLOCK: "content.unlocked",
    _OFFER: "content.offered",
}
_MOMENT: Final = Struct(">Q")

Moment = tuple[int, int, int]
"""Microseconds since 1970, the kind of the action or _OFFER, credits or cents."""

assert SESSION_GAP >= _BEFORE, "whoever has a purchase so soon after an action has both in one session"


def judge(moments: Iterable[Moment], triggers: Triggers, sign: int) -> None:
    """Add (`sign` 1) or take away (-1) what a user's purchases give to the types of the events before them. Pure."""
    ordered = sorted(moments)
    times = [moment[0] for moment in ordered]
    for time, kind, cents in ordered:
        if kind == Kind.PURCHASE:
            since, until = bisect_left(times, time - _BEFORE_MICROSECONDS), bisect_left(times, time)
            for trigger in {before[1] for before in ordered[since:until]}:
                triggers.add(EVENT_TYPES[trigger], PURCHASES, sign)
                triggers.add(EVENT_TYPES[trigger], REVENUE_CENTS, sign * cents)


async def apply_offers(connection: asyncpg.Connection, work: Work) -> None:
    """Write the batch's offers, and judge the purchases that it touches. Runs after `user_sessions`, whose stored
    sessions tell late actions, and before `user_days`: what it reads there is as it was before the batch."""
    offers = work.journal.of(ContentOffered)
    touched = _touched(work, offers)
    if touched:
        await _judge(connection, work, offers, touched)
    if offers:
        await _write_offers(connection, offers)


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write what the batch changes in the triggers."""
    await write_differences(
        connection,
        work.triggers,
        add=query("purchase_triggers", "add_triggers"),
        subtract=query("purchase_triggers", "subtract_triggers"),
        drop_empty=query("purchase_triggers", "drop_empty_triggers"),
    )


def _touched(work: Work, offers: Iterable[Entry]) -> dict[int, set[date]]:
    """Return the users whose purchases may be judged anew, with the days of all that matters for it."""
    touched: dict[int, set[date]] = {}

    def touch(user: int, time: datetime) -> None:
        days = touched.setdefault(user, set())
        days |= {time.date(), (time - _BEFORE).date(), (time + _BEFORE).date()}

    # What has no sessions any more can't tell: there every action counts as late.
    told_from = work.horizons.user_sessions + SESSION_GAP
    late = {
        user
        for user, first in _firsts(work.actions.gained).items()
        if first < told_from or _may_lead(first, work.sessions.get(user, ()))
    }
    for user, time, kind, _ in work.actions.gained:
        if kind == Kind.PURCHASE or user in late:
            touch(user, time)
    for action in work.actions.lost:
        touch(action.telegram_id, action.time)
    for entry in offers:
        touch(entry.telegram_id, entry.event.time)
    return touched


def _firsts(actions: Iterable[Action]) -> dict[int, datetime]:
    firsts: dict[int, datetime] = {}
    for user, time, _, _ in actions:
        known = firsts.get(user)
        if known is None or time < known:
            firsts[user] = time
    return firsts


def _may_lead(first: datetime, sessions: Iterable[Session]) -> bool:
    """Whether a stored purchase may lie after a new action. The sessions around it hold every purchase that does."""
    return any(session.purchases and session.end > first for session in sessions)


async def _judge(
    connection: asyncpg.Connection, work: Work, offers: Sequence[Entry], touched: dict[int, set[date]]
) -> None:
    stored: dict[int, list[Moment]] = {user: [] for user in touched}
    keys = [(user, day) for user in sorted(touched) for day in sorted(touched[user])]
    for user, actions, moments in await connection.fetch(query("purchase_triggers", "load_moments"), *columns(keys)):
        stored[user] += _unpacked(actions or b"", moments or b"")
    gained: dict[int, list[Moment]] = {user: [] for user in touched}
    for user, time, kind, amount in work.actions.gained:
        if user in touched:
            gained[user].append((microseconds(time), kind, amount))
    for entry in offers:
        gained[entry.telegram_id].append((microseconds(entry.event.time), _OFFER, 0))
    for moments in stored.values():
        judge(moments, work.triggers, -1)
    for user, time, kind, amount in work.actions.lost:
        stored[user].remove((microseconds(time), kind, amount))
    for user, moments in stored.items():
        judge([*moments, *gained[user]], work.triggers, 1)


def _unpacked(actions: bytes, offers: bytes) -> Iterator[Moment]:
    for moment, amount in PACKED.iter_unpack(actions):
        yield moment >> 3, moment & 7, amount
    for (moment,) in _MOMENT.iter_unpack(offers):
        yield moment, _OFFER, 0


async def _write_offers(connection: asyncpg.Connection, offers: Iterable[Entry]) -> None:
    rows: dict[tuple[int, date], bytearray] = {}
    for _, user, event, _ in offers:
        rows.setdefault((user, event.time.date()), bytearray()).extend(_MOMENT.pack(microseconds(event.time)))
    table = [(*key, bytes(rows[key])) for key in sorted(rows)]
    await connection.execute(query("purchase_triggers", "add_offers"), *columns(table))
