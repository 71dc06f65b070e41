"""A user's profile: of each field the latest word counts, of referrers the earliest registration's. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from projections.folds.day_figures import DayFigures, Figure
from projections.folds.journal import Entry, order_of
from projections.ledger.facts import Order
from schemas import events

FIELDS: Final = (
    "username",
    "first_name",
    "last_name",
    "preferred_language",
    "referral_code",
    "is_premium",
    "is_blocked",
    "auto_recharge_enabled",
    "auto_recharge_amount_cents",
    "auto_recharge_credits",
    "auto_recharge_threshold_credits",
)
"""Columns of `users` of which the latest word counts; each has a column `<name>_at` in `user_field_times`."""

_MEMBERS: Final = {
    "username": "username",
    "first_name": "first_name",
    "last_name": "last_name",
    "language": "preferred_language",
    "referral_code": "referral_code",
    "is_premium": "is_premium",
}
_AUTO_RECHARGE_MEMBERS: Final = {
    "enabled": "auto_recharge_enabled",
    "amount_cents": "auto_recharge_amount_cents",
    "credits": "auto_recharge_credits",
    "threshold_credits": "auto_recharge_threshold_credits",
}
_UNSAID: Final[dict[str, Any]] = {**dict.fromkeys(FIELDS), "is_blocked": False, "auto_recharge_enabled": False}


@dataclass(slots=True)
class Profile:
    """The fields, and when each was said; both as they are stored."""

    values: dict[str, Any] = field(default_factory=_UNSAID.copy)
    times: dict[str, datetime | None] = field(default_factory=lambda: dict.fromkeys(FIELDS))
    registered_at: datetime | None = None
    referred_by: int | None = None
    referred: Order | None = None
    """The event that named the referrer."""

    def say(self, name: str, value: Any, time: datetime) -> None:
        """Set a field, unless something later was said before. On equal times what is later in the log wins."""
        known = self.times[name]
        if known is None or time >= known:
            self.values[name] = value
            self.times[name] = time


class ProfileChange(NamedTuple):
    """The fields that one event changed, registered_at and referred_by among them."""

    entry: Entry
    before: dict[str, Any]
    after: dict[str, Any]


def change(profile: Profile, entry: Entry, days: DayFigures) -> ProfileChange | None:
    """Apply one event about a profile; return what it changed, None for nothing."""
    before, registered_at, referred_by = profile.values.copy(), profile.registered_at, profile.referred_by
    fold(profile, entry, days)
    changed = [name for name, value in profile.values.items() if value != before[name]]
    was = {name: before[name] for name in changed}
    now = {name: profile.values[name] for name in changed}
    if profile.registered_at != registered_at:
        was["registered_at"], now["registered_at"] = registered_at, profile.registered_at
    if profile.referred_by != referred_by:
        was["referred_by"], now["referred_by"] = referred_by, profile.referred_by
    return ProfileChange(entry, was, now) if now else None


def fold(profile: Profile, entry: Entry, days: DayFigures) -> None:
    """Apply one event about a profile. A user is new on the day of the earliest registration."""
    _HANDLERS[type(entry.event)](profile, entry, days)


def _registered(profile: Profile, entry: Entry, days: DayFigures) -> None:
    event = entry.event
    known = profile.registered_at
    if known is None or event.time < known:
        profile.registered_at = event.time
        days.add(event.time.date(), Figure.NEW_USERS, 1)
        if known is not None:
            days.add(known.date(), Figure.NEW_USERS, -1)
    referrer = event.data.referred_by
    if referrer is not None and referrer != entry.telegram_id:
        order = order_of(event)
        if profile.referred is None or order < profile.referred:
            profile.referred, profile.referred_by = order, referrer
    _say_members(profile, event, _MEMBERS)


def _changed(profile: Profile, entry: Entry, days: DayFigures) -> None:
    _say_members(profile, entry.event, _MEMBERS)


def _blocked(profile: Profile, entry: Entry, days: DayFigures) -> None:
    profile.say("is_blocked", isinstance(entry.event, events.UserBotBlocked), entry.event.time)


def _auto_recharge(profile: Profile, entry: Entry, days: DayFigures) -> None:
    _say_members(profile, entry.event, _AUTO_RECHARGE_MEMBERS)


def _say_members(profile: Profile, event: Any, members: dict[str, str]) -> None:
    """Only members that the event carries say something; a null is a word too."""
    for member in event.data.model_fields_set & members.keys():
        profile.say(members[member], getattr(event.data, member), event.time)


_HANDLERS: Final[dict[Any, Callable[[Profile, Entry, DayFigures], None]]] = {
    events.UserRegistered: _registered,
    events.UserProfileChanged: _changed,
    events.UserBotBlocked: _blocked,
    events.UserBotUnblocked: _blocked,
    events.AutoRechargeConfigured: _auto_recharge,
}
SOURCES: Final = tuple(_HANDLERS)
"""The events that say something of a profile."""
