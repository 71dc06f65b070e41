"""The tier follows every single change, in the order of the log."""

from __future__ import annotations

from datetime import timedelta

from projections.folds.users import Money, Totals, decide_tiers
from projections.ledger.ledger import MoneyChange
from tests.support.folding import at


def change(number: int, purchases: int, cents: int) -> MoneyChange:
    return MoneyChange(number, 1, purchases, cents, at() + timedelta(seconds=number))


def test_a_tier_that_came_and_went_leaves_the_time_of_its_last_change() -> None:
    totals: dict[int, Totals] = {}
    decide_tiers([change(1, 1, 1000), change(2, -1, -1000), change(3, 1, 10)], {}, totals)
    assert (totals[1].tier, totals[1].tier_changed_at) == ("new", at() + timedelta(seconds=2))
    assert (totals[1].purchases, totals[1].cents) == (1, 10)


def test_a_tier_that_stays_says_nothing() -> None:
    totals: dict[int, Totals] = {}
    decide_tiers([change(1, 1, 10)], {1: Money(10, 2000, "vip")}, totals)
    assert totals[1].tier is None
    assert totals[1].tier_changed_at is None
