"""Rows from before a horizon count as removed, on both sides of the comparison."""

from __future__ import annotations

from projections.verify.retention import HORIZON_OF, kept
from projections.verify.rows import KEYS
from projections.verify.user import User
from schemas.plain import plain
from tests.support.folding import arrivals, at, message


def test_sessions_are_made_of_the_actions_from_the_horizon_on() -> None:
    user = User(1)
    for arrival in arrivals([message(1, at(minutes)) for minutes in (0, 20, 40, 200)]):
        user.apply(plain(arrival.event), arrival.appended_at)
    assert [(key[1], row["session_end"]) for key, row in user.rows()["user_sessions"].items()] == [
        (at(0), at(40)), (at(200), at(200)),
    ]  # fmt: skip
    cut = user.rows(at(10))["user_sessions"]
    assert [(key[1], row["session_end"]) for key, row in cut.items()] == [(at(20), at(40)), (at(200), at(200))]
    assert user.rows(at(10))["users"] == user.rows()["users"], "totals keep what is older"


def test_only_tables_that_lose_rows_have_a_horizon() -> None:
    assert HORIZON_OF.keys() <= KEYS.keys()
    hours = {(at(0),): {"events": 1}, (at(60),): {"events": 2}}
    assert kept("hourly_metrics", hours, {"hourly_metrics": at(60)}) == {(at(60),): {"events": 2}}
    assert kept("hourly_metrics", hours, {}) == hours
    assert kept("daily_metrics", hours, {"daily_metrics": at(60)}) == hours
    letters = {("t", 0, 1, "streams"): {"appended_at": at(0)}, ("t", 0, 2, "streams"): {"appended_at": at(9)}}
    assert list(kept("dead_letters", letters, {"dead_letters": at(5)})) == [("t", 0, 2, "streams")]
