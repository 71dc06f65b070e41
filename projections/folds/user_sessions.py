"""user_sessions: sessions kept true under late events, and under charges that turn out to have happened earlier."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg

from projections.folds.actions import Action, DayKey, unpack, without
from projections.folds.sessions import Session, merge, of_actions, single
from projections.folds.user_days import load_actions
from projections.folds.work import Work, columns
from projections.sql import query
from schemas.activity import SESSION_GAP

_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write the sessions that this batch's actions touch. Runs before `user_days`, whose old actions it may need."""
    horizon = work.horizons.user_sessions
    gained = _by_user(work.actions.gained, horizon)
    lost = _by_user(work.actions.lost, horizon)
    movers = {action.telegram_id for action in work.actions.lost}
    users = gained.keys() | movers
    if not users:
        return

    before = work.sessions = await _load(connection, gained, lost, movers, horizon)
    pieces = {user: of_actions(gained.get(user, ())) for user in users}
    intact = await _dissolve(connection, before, lost, pieces) if lost else before
    after = {
        user: merge([*intact.get(user, ()), *pieces[user]]) if user in before or user in lost else pieces[user]
        for user in pieces
    }

    stale: list[tuple[int, datetime]] = []
    changed: list[tuple[int, datetime, datetime, int, int, int]] = []
    for user in sorted(after):
        old = before.get(user, ())
        starts = {session.start for session in after[user]}
        stale += [(user, session.start) for session in old if session.start not in starts]
        changed += [(user, *session) for session in after[user] if session not in old]
    if stale:
        await connection.execute(query("user_sessions", "delete_sessions"), *columns(stale))
    if changed:
        await connection.execute(query("user_sessions", "write_sessions"), *columns(changed))
    if movers:
        latest = [
            (
                user,
                max(session.end for session in after[user]) if after[user] else await _latest(connection, user, work),
            )
            for user in sorted(movers)
        ]
        await connection.execute(query("users", "set_last_active"), *columns(latest))


def _by_user(actions: Iterable[Action], horizon: datetime) -> dict[int, list[Action]]:
    found: dict[int, list[Action]] = {}
    for action in actions:
        if action[1] >= horizon:
            found.setdefault(action[0], []).append(action)
    return found


async def _load(
    connection: asyncpg.Connection,
    gained: dict[int, list[Action]],
    lost: dict[int, list[Action]],
    movers: set[int],
    horizon: datetime,
) -> dict[int, list[Session]]:
    """Return the stored sessions that the actions may touch; of users who lose one, all later sessions too.

    Never one from before the horizon: such a row may be there still, but counts as removed.
    """
    spans = []
    for user in gained.keys() | movers:
        times = [action[1] for action in (*gained.get(user, ()), *lost.get(user, ()))]
        since = max(min(times) - SESSION_GAP, horizon) if times else horizon
        spans.append((user, since, _END_OF_TIME if user in movers else max(times) + SESSION_GAP))
    spans.sort()
    sessions: dict[int, list[Session]] = {}
    for user, *fields in await connection.fetch(query("user_sessions", "load_sessions"), *columns(spans)):
        sessions.setdefault(user, []).append(Session(*fields))
    return sessions


async def _latest(connection: asyncpg.Connection, user: int, work: Work) -> datetime:
    """Return the latest own action of a user without a session that is kept."""
    stored = {(user, day): actions for day, actions in await connection.fetch(query("user_days", "all_actions"), user)}
    for action in work.actions.lost:
        if action.telegram_id == user:
            key = (user, action.time.date())
            stored[key] = without(stored[key], action)
    gained = (action.time for action in work.actions.gained if action.telegram_id == user)
    return max([*gained, *(action.time for action in _stored_actions(user, stored, stored))])


async def _dissolve(
    connection: asyncpg.Connection,
    before: dict[int, list[Session]],
    lost: dict[int, list[Action]],
    pieces: dict[int, list[Session]],
) -> dict[int, list[Session]]:
    """Take lost actions out of their sessions: these fall into their remaining actions, added to `pieces`.

    Returns the sessions that stay whole.
    """
    broken: dict[int, set[Session]] = {}
    for user, actions in lost.items():
        broken[user] = {
            session
            for session in before.get(user, ())
            if any(session.start <= action.time <= session.end for action in actions)
        }
    keys = [(user, day) for user in broken for session in broken[user] for day in _days(session)]
    stored = await load_actions(connection, keys)
    for user, actions in lost.items():
        for action in actions:
            key = (user, action.time.date())
            stored[key] = without(stored[key], action)
    for user in broken:
        for action in _stored_actions(user, keys, stored):
            if any(session.start <= action.time <= session.end for session in broken[user]):
                pieces[user].append(single(action))
    return {
        user: [session for session in sessions if session not in broken.get(user, ())]
        for user, sessions in before.items()
    }


def _stored_actions(user: int, keys: Iterable[DayKey], stored: dict[DayKey, bytes]) -> Iterable[Action]:
    for key in set(keys):
        if key[0] == user:
            yield from unpack(user, stored.get(key, b""))


def _days(session: Session) -> list[date]:
    first = session.start.date()
    return [first + timedelta(days=number) for number in range((session.end.date() - first).days + 1)]
