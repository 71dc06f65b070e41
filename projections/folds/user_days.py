"""user_days: what a user did on a UTC day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg

from projections.briefs import Sent
from projections.folds.actions import Action, DayKey, Kind, pack, without
from projections.folds.day_figures import Figure
from projections.folds.journal import Entry
from projections.folds.work import Work, columns
from projections.sql import query

MESSAGES_RECEIVED, MESSAGES_SENT, OWN_ACTIONS, PURCHASES, SPEND_CENTS, CREDITS_SPENT, UNLOCKS = range(7)

Row = tuple[list[int], bytearray]
"""The counters above, and the packed actions."""


def fold(gained: Iterable[Action], sent: Iterable[Entry]) -> dict[DayKey, Row]:
    """Return what users' days gain by these own actions and sent messages."""
    rows: dict[DayKey, Row] = {}
    for telegram_id, time, kind, amount in gained:
        key = (telegram_id, time.date())
        row = rows.get(key)
        if row is None:
            row = rows[key] = ([0] * 7, bytearray())
        counters, actions = row
        actions += pack(time, kind, amount)
        counters[OWN_ACTIONS] += 1
        if kind == 1:  # Kind.MESSAGE: an enum's member would cost more than the rest of the loop
            counters[MESSAGES_RECEIVED] += 1
        elif kind == Kind.CREDITS:
            counters[CREDITS_SPENT] += amount
        elif kind == Kind.PURCHASE:
            counters[PURCHASES] += 1
            counters[SPEND_CENTS] += amount
        elif kind == Kind.UNLOCK:
            counters[UNLOCKS] += 1
    for _, telegram_id, event, _ in sent:
        key = (telegram_id, event.time.date())
        row = rows.get(key)
        if row is None:
            row = rows[key] = ([0] * 7, bytearray())
        row[0][MESSAGES_SENT] += 1
    return rows


async def load_actions(connection: asyncpg.Connection, keys: Iterable[DayKey]) -> dict[DayKey, bytes]:
    """Return the packed actions of users' days, as they are stored."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    records = await connection.fetch(query("user_days", "load_actions"), *columns(wanted))
    return {(telegram_id, day): actions for telegram_id, day, actions in records}


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write users' days, and give the days of all their figures."""
    if work.actions.lost:
        await _take_back(connection, work)
    rows = fold(work.actions.gained, work.journal.of(Sent))
    if not rows:
        return
    for (_, day), (counters, _) in rows.items():
        work.days.add(day, Figure.MESSAGES_RECEIVED, counters[MESSAGES_RECEIVED])
        work.days.add(day, Figure.MESSAGES_SENT, counters[MESSAGES_SENT])
        work.days.add(day, Figure.CREDITS_SPENT, counters[CREDITS_SPENT])
        work.days.add(day, Figure.CONTENT_UNLOCKS, counters[UNLOCKS])
    table = [(*key, *rows[key][0], bytes(rows[key][1])) for key in sorted(rows)]
    for day, users in await connection.fetch(query("user_days", "add_user_days"), *columns(table)):
        work.days.add(day, Figure.ACTIVE_USERS, users)


async def _take_back(connection: asyncpg.Connection, work: Work) -> None:
    lost: dict[DayKey, list[Action]] = {}
    for action in work.actions.lost:
        lost.setdefault((action.telegram_id, action.time.date()), []).append(action)
    stored = await load_actions(connection, lost)
    table: list[tuple[Any, ...]] = []
    for key in sorted(lost):
        actions = stored[key]
        for action in lost[key]:
            actions = without(actions, action)
        cents = sum(action.amount for action in lost[key])
        table.append((*key, len(lost[key]), len(lost[key]), cents, actions))
    for day, own_actions in await connection.fetch(query("user_days", "take_actions_back"), *columns(table)):
        if own_actions == 0:
            work.days.add(day, Figure.ACTIVE_USERS, -1)
    await connection.execute(query("user_days", "drop_empty_days"), *columns(sorted(lost)))
