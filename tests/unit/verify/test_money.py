"""A user's money folded a second time: the running totals are those of all facts together, whatever came when."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from projections.verify.history import History
from schemas.codec import Decoder
from tests.unit.streams.records import MINUTE, START, event, log

CHARGES = ("c1", "c2", "c3")
CENTS = 500


def paid(charge_id: str, id_: str, at: Any = START) -> dict[str, Any]:
    data = {"charge_id": charge_id, "provider": "stripe", "method": "card", "amount_cents": CENTS}
    return event("payment.succeeded", data, id_=id_, at=at)


def refunded(refund_id: str, charge_id: str, id_: str, at: Any = START) -> dict[str, Any]:
    data = {"refund_id": refund_id, "charge_id": charge_id, "provider": "stripe", "amount_cents": 200}
    return event("payment.refunded", data, id_=id_, at=at)


def failed(refund_id: str, charge_id: str, id_: str, at: Any = START) -> dict[str, Any]:
    data = {"refund_id": refund_id, "charge_id": charge_id, "provider": "stripe"}
    return event("payment.refund_failed", data, id_=id_, at=at)


def closed(dispute_id: str, charge_id: str, outcome: str, id_: str, at: Any = START) -> dict[str, Any]:
    data = {"dispute_id": dispute_id, "charge_id": charge_id, "provider": "stripe", "outcome": outcome}
    return event("payment.dispute_closed", data, id_=id_, at=at)


def left_of_all(events: list[dict[str, Any]]) -> list[int]:
    """What is left of each charge, from the facts alone: of several with one identity the earliest, of closings the
    latest."""

    def facts(kind: str, identity: str, *, latest: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = {}
        ordered = sorted(events, key=lambda e: (e["time"], e["source"], e["id"]), reverse=not latest)
        for e in ordered:
            if e["type"] == f"botpulse.{kind}.v1":
                found[e["data"][identity]] = e["data"]
        return found

    unpaid = set(facts("payment.refund_failed", "refund_id"))
    lost = {
        d["charge_id"]
        for d in facts("payment.dispute_closed", "dispute_id", latest=True).values()
        if d["outcome"] == "lost"
    }
    back = dict.fromkeys(CHARGES, 0)
    for refund_id, data in facts("payment.refunded", "refund_id").items():
        if refund_id not in unpaid:
            back[data["charge_id"]] += data["amount_cents"]
    return [0 if c in lost else max(0, CENTS - back[c]) for c in facts("payment.succeeded", "charge_id")]


def some_event(dice: random.Random, number: int) -> dict[str, Any]:
    charge_id, id_ = dice.choice(CHARGES), f"e{number}"
    at = START + timedelta(minutes=dice.randrange(60))
    match dice.randrange(5):
        case 0:
            return paid(charge_id, id_, at)
        case 1 | 2:
            return refunded(dice.choice(("r1", "r2", "r3", "r4")), charge_id, id_, at)
        case 3:
            return failed(dice.choice(("r1", "r2")), charge_id, id_, at)
        case _:
            return closed(dice.choice(("d1", "d2")), charge_id, dice.choice(("won", "lost")), id_, at)


def test_the_totals_after_every_event_are_those_of_the_facts_so_far() -> None:
    for seed in range(60):
        dice = random.Random(seed)
        events = [some_event(dice, number) for number in range(25)]
        history = History(Decoder(1).decode_plain)
        for number, record in enumerate(log(events), 1):
            history.read(record)
            left = left_of_all(events[:number])
            assert history.user is not None
            money = history.user.money
            assert (money.purchases, money.spent_cents) == (sum(map(bool, left)), sum(left)), f"seed {seed}, {number}"


def test_what_leads_to_a_purchase_is_what_came_in_the_half_hour_before_it() -> None:
    times = {
        "content.offered": START + timedelta(minutes=29),
        "message.received": START + timedelta(minutes=30),
        "content.viewed": START + timedelta(minutes=60) - timedelta(milliseconds=1),
        "credits.spent": START + timedelta(minutes=60),
    }
    data: dict[str, dict[str, Any]] = {
        "content.offered": {"content_id": "i"},
        "message.received": {"kind": "text"},
        "content.viewed": {"content_id": "i"},
        "credits.spent": {"credits": 1, "reason": "message"},
    }
    events = [event(kind, data[kind], id_=kind, at=at) for kind, at in times.items()]
    history = History(Decoder(1).decode_plain)
    for record in log([*events, paid("c1", "p", START + 60 * MINUTE)]):
        assert history.read(record).why_not == ""
    assert history.user is not None
    assert sorted(history.user.purchase_triggers()) == [("content.viewed", CENTS), ("message.received", CENTS)]


def test_a_refund_in_another_currency_is_worth_its_cents_alone() -> None:
    stars = {"charge_id": "c1", "provider": "telegram_stars", "method": "stars", "amount_cents": CENTS}
    back = {"refund_id": "r1", "charge_id": "c1", "provider": "telegram_stars", "amount_cents": 200}
    for currency, left in (("XTR", 0), ("EUR", 300)):
        events = [
            event("payment.succeeded", {**stars, "original": {"amount_minor": 100, "currency": "XTR"}}, id_="p"),
            event("payment.refunded", {**back, "original": {"amount_minor": 100, "currency": currency}}, id_="r"),
        ]
        history = History(Decoder(1).decode_plain)
        assert [history.read(record).why_not for record in log(events)] == ["", ""]
        assert history.user is not None
        assert history.user.money.spent_cents == left
