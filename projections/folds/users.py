"""users: profile, lifetime totals, tier. Runs first: the other tables' rows refer to the users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import asyncpg

from projections.briefs import Granted, Received, Spent
from projections.folds import profiles
from projections.folds.actions import Action
from projections.folds.profiles import FIELDS, Profile
from projections.folds.work import Work, columns
from projections.ledger.ledger import MoneyChange
from projections.sql import query
from schemas.events import UserRegistered
from schemas.tiers import LOWEST_TIER, tier_of

_GAINS: Final = 8
_SAID: Final = len(FIELDS) + 3
"""Columns of the two halves of `update_users`."""
_fields: Final = itemgetter(*FIELDS)


@dataclass(slots=True)
class Totals:
    """What a user's lifetime totals gain; `tier` and `tier_changed_at` are None where the tier stays."""

    messages: int = 0
    credits: int = 0
    last_active: datetime | None = None
    purchases: int = 0
    cents: int = 0
    tier: str | None = None
    tier_changed_at: datetime | None = None


@dataclass(slots=True)
class Money:
    """What decides a user's tier."""

    purchases: int = 0
    cents: int = 0
    tier: str = LOWEST_TIER


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Create the users of the batch, and bring their profiles and totals up to date."""
    known = await _load_profiles(connection, work)
    for entry in work.journal.of(*profiles.SOURCES):
        if changed := profiles.change(known[entry.telegram_id], entry, work.days):
            work.profile_changes.append(changed)
    await connection.execute(query("users", "create_users"), sorted(work.journal.users | _referrers(work)))
    totals = count(work)
    await _decide_tiers(connection, work.ledger.changes, totals)
    await _write(connection, totals, known)


def _referrers(work: Work) -> set[int]:
    """Return everybody that a registration names, also where an earlier one names somebody else: who has a row must
    not depend on where a batch ends."""
    named = {entry.event.data.referred_by for entry in work.journal.of(UserRegistered)}
    return named - {None}


def _user(item: tuple[int, Any]) -> int:
    return item[0]


def count(work: Work) -> dict[int, Totals]:
    """Return what the batch's messages, credits and own actions add to each user's totals. Pure."""
    totals: dict[int, Totals] = {}
    for _, telegram_id, _, _ in work.journal.of(Received):
        _of(totals, telegram_id).messages += 1
    for _, telegram_id, event, _ in work.journal.of(Granted):
        _of(totals, telegram_id).credits += event.credits
    for _, telegram_id, event, _ in work.journal.of(Spent):
        _of(totals, telegram_id).credits -= event.credits
    _note_activity(totals, work.actions.gained)
    return totals


def _of(totals: dict[int, Totals], telegram_id: int) -> Totals:
    user = totals.get(telegram_id)
    if user is None:
        user = totals[telegram_id] = Totals()
    return user


def _note_activity(totals: dict[int, Totals], gained: Iterable[Action]) -> None:
    for telegram_id, time, _, _ in gained:
        user = _of(totals, telegram_id)
        if user.last_active is None or time > user.last_active:
            user.last_active = time


def decide_tiers(changes: Iterable[MoneyChange], money: dict[int, Money], totals: dict[int, Totals]) -> None:
    """Follow each user's tier through the changes of purchases and spend, in the order of the log. Pure."""
    for change in changes:
        state = money.setdefault(change.telegram_id, Money())
        state.purchases += change.purchases
        state.cents += change.cents
        user = _of(totals, change.telegram_id)
        user.purchases += change.purchases
        user.cents += change.cents
        tier = tier_of(state.purchases, state.cents)
        if tier != state.tier:
            state.tier = user.tier = tier
            user.tier_changed_at = change.appended_at


async def _decide_tiers(connection: asyncpg.Connection, changes: list[MoneyChange], totals: dict[int, Totals]) -> None:
    if not changes:
        return
    users = sorted({change.telegram_id for change in changes})
    money = {
        telegram_id: Money(purchases, cents, tier)
        for telegram_id, purchases, cents, tier in await connection.fetch(query("users", "load_money"), users)
    }
    decide_tiers(changes, money, totals)


async def _load_profiles(connection: asyncpg.Connection, work: Work) -> dict[int, Profile]:
    users = sorted({entry.telegram_id for entry in work.journal.of(*profiles.SOURCES)})
    known = {telegram_id: Profile() for telegram_id in users}
    if users:
        for record in await connection.fetch(query("users", "load_profiles"), users):
            known[record["telegram_id"]] = Profile(
                values={name: record[name] for name in FIELDS},
                times={name: record[f"{name}_at"] for name in FIELDS},
                registered_at=record["registered_at"],
                referred_by=record["referred_by"],
                referred=(record["referred_at"], record["referred_source"], record["referred_event_id"])
                if record["referred_at"] is not None
                else None,
            )
    return known


async def _write(connection: asyncpg.Connection, totals: dict[int, Totals], known: dict[int, Profile]) -> None:
    if not (totals or known):
        return
    gains = [
        (user, t.messages, t.credits, t.last_active, t.purchases, t.cents, t.tier, t.tier_changed_at)
        for user, t in sorted(totals.items(), key=_user)
    ]
    said = [
        (user, *_fields(profile.values), profile.registered_at, profile.referred_by) for user, profile in known.items()
    ]
    arrays = [*(columns(gains) if gains else [[]] * _GAINS), *(columns(said) if said else [[]] * _SAID)]
    await connection.execute(query("users", "update_users"), *arrays)
    if known:
        times = [
            (user, *_fields(profile.times), *(profile.referred or (None, None, None)))
            for user, profile in known.items()
        ]
        await connection.execute(query("users", "write_field_times"), *columns(times))
