"""The ledger alone: every order of the facts about a charge, conflicts, and what a change hands on to the user."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from projections.folds.day_figures import DayFigures, Figure
from projections.folds.hour_figures import HourFigures
from projections.folds.journal import Journal
from projections.ledger.facts import KnownFacts
from projections.ledger.ledger import Ledger
from projections.verify.tables import fold
from schemas.events import BotEvent
from tests.support.folding import arrivals, at, charge, event, refund
from tests.support.scenarios import scenarios


def folded(events: list[BotEvent]) -> Ledger:
    ledger = Ledger(KnownFacts(), DayFigures(), HourFigures())
    ledger.fold(Journal(arrivals(events)))
    return ledger


def days(ledger: Ledger) -> dict[Any, list[int]]:
    return dict(ledger.days)


@pytest.mark.parametrize("name", scenarios(1))
def test_every_order_comes_to_the_same(name: str) -> None:
    events = scenarios(1)[name]
    rows, _ = fold(arrivals(events))
    charges = {
        (user, provider, name): (row["remainder_cents"], row["refunded_cents"], row["settlement_status"])
        for (user, provider, status, name), row in rows["payment_analytics"].items()
        if status == "succeeded"
    }
    first = days(folded(events))
    for order in permutations(events):
        ledger = folded(list(order))
        standing = {
            key: (account.standing.remainder_cents, account.standing.refunded_cents, account.standing.settlement_status)
            for key, account in ledger.changed_accounts.items()
            if account.standing is not None
        }
        assert standing == charges
        assert days(ledger) == first
        assert sum(change.cents for change in ledger.changes) == sum(left for left, _, _ in charges.values())
        assert sum(change.purchases for change in ledger.changes) == sum(left > 0 for left, _, _ in charges.values())
        assert not ledger.purchases_lost()


def test_a_fact_with_another_amount_is_a_conflict_and_changes_nothing() -> None:
    ledger = folded([charge(cents=500), charge(time=at(-5), cents=700), refund(cents=100), refund(cents=200)])
    assert ledger.conflicts == 2
    (account,) = ledger.changed_accounts.values()
    assert account.charge is not None
    assert account.charge.amount_cents == 500
    assert account.standing is not None
    assert account.standing.remainder_cents == 400


def test_a_failed_refund_still_holds_its_amount() -> None:
    failed = event("payment.refund_failed", provider="stripe", charge_id="c1", refund_id="r1")
    ledger = folded([charge(), refund(cents=100), failed, refund(cents=200)])
    assert ledger.conflicts == 1


def test_one_event_is_one_change_of_its_user() -> None:
    # Taken from one charge and given to another, the refund changes nothing in sum: no tier in between.
    ledger = folded(
        [
            charge(charge_id="c1", cents=1000),
            charge(charge_id="c2", cents=1000),
            refund(time=at(9), charge_id="c1", cents=600),
            refund(time=at(8), charge_id="c2", cents=600),
        ]
    )
    assert [(change.purchases, change.cents) for change in ledger.changes] == [(1, 1000), (1, 1000), (0, -600), (0, 0)]


def test_ids_of_users_and_providers_are_apart() -> None:
    ledger = folded([charge(1, cents=500), charge(2, cents=700), charge(1, cents=900, provider="other")])
    assert ledger.conflicts == 0
    assert len(ledger.changed_accounts) == 3


def test_attempts_and_triggers_count_once_on_their_earliest_day() -> None:
    failed = {"attempt_id": "a1", "provider": "stripe", "method": "card", "amount_cents": 500, "failure_code": "x"}
    top_up = {"trigger_id": "t1", "amount_cents": 100}
    ledger = folded(
        [
            event("payment.failed", time=at(days=1), **failed),
            event("payment.failed", time=at(), **failed),
            event("auto_recharge.triggered", time=at(days=1), **top_up),
            event("auto_recharge.triggered", time=at(), **top_up),
        ]
    )
    figures = days(ledger)
    assert list(figures) == [at().date()]
    assert figures[at().date()][Figure.FAILED_PAYMENTS] == 1
    assert figures[at().date()][Figure.AUTO_RECHARGE_TRIGGERS] == 1


@pytest.mark.parametrize(
    ("charged", "returned"),
    [
        ({"amount_minor": 300, "currency": "XTR"}, {"amount_minor": 900, "currency": "EUR"}),
        ({"amount_minor": 0, "currency": "XTR"}, {"amount_minor": 0, "currency": "XTR"}),
        ({"amount_minor": 300, "currency": "XTR"}, {"amount_minor": 299, "currency": "XTR"}),
        (None, {"amount_minor": 300, "currency": "XTR"}),
    ],
)
def test_no_whole_without_the_same_currency_and_amount(charged: Any, returned: Any) -> None:
    ledger = folded([charge(original=charged), refund(cents=1, original=returned)])
    (account,) = ledger.changed_accounts.values()
    assert account.standing is not None
    assert account.standing.remainder_cents == 499
