"""Profiles: the latest word of each field, the earliest registration, the earliest referrer."""

from __future__ import annotations

from typing import Any

from projections.folds.day_figures import DayFigures, Figure
from projections.folds.journal import Journal
from projections.folds.profiles import SOURCES, Profile, fold
from schemas.events import BotEvent
from tests.support.folding import arrivals, at, event


def folded(*events: BotEvent) -> tuple[Profile, DayFigures]:
    profile, days = Profile(), DayFigures()
    for entry in Journal(arrivals(events)).of(*SOURCES):
        fold(profile, entry, days)
    return profile, days


def registered(time: Any, **data: Any) -> BotEvent:
    return event("user.registered", 1, time, **data)


def changed(time: Any, **data: Any) -> BotEvent:
    return event("user.profile_changed", 1, time, **data)


def test_the_latest_time_wins_in_any_order() -> None:
    for events in ([changed(at(2), username="new"), registered(at(1), username="old", first_name="A")],
                   [registered(at(1), username="old", first_name="A"), changed(at(2), username="new")]):  # fmt: skip
        profile, _ = folded(*events)
        assert profile.values["username"] == "new"
        assert profile.values["first_name"] == "A"


def test_on_equal_times_the_later_in_the_log_wins() -> None:
    profile, _ = folded(changed(at(), username="first"), changed(at(), username="second"))
    assert profile.values["username"] == "second"


def test_absent_changes_nothing_and_null_clears() -> None:
    profile, _ = folded(registered(at(), username="a", language="en"), changed(at(1), username=None))
    assert profile.values["username"] is None
    assert profile.values["preferred_language"] == "en"


def test_a_registration_of_later_time_is_a_source_of_the_profile_but_no_new_user() -> None:
    profile, days = folded(registered(at(days=1), username="late"), registered(at(), username="early"))
    assert profile.values["username"] == "late"
    assert profile.registered_at == at()
    assert [(day, row[Figure.NEW_USERS]) for day, row in days] == [(at().date(), 1)]


def test_the_referrer_is_of_the_earliest_registration_naming_another() -> None:
    profile, _ = folded(
        registered(at(3), referred_by=30), registered(at(0)), registered(at(1), referred_by=1),
        registered(at(2), referred_by=20),
    )  # fmt: skip
    assert profile.referred_by == 20


def test_blocking_and_auto_recharge_follow_the_latest_time() -> None:
    profile, _ = folded(
        event("user.bot_unblocked", 1, at(2)),
        event("user.bot_blocked", 1, at(1)),
        event("auto_recharge.configured", 1, at(2), enabled=True),
        event("auto_recharge.configured", 1, at(1), enabled=False, amount_cents=500),
    )
    assert profile.values["is_blocked"] is False
    assert profile.values["auto_recharge_enabled"] is True
    assert profile.values["auto_recharge_amount_cents"] == 500
