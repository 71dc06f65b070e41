"""Stripe's webhook: meaning, identity in any order, whose it is. Kafka is away here, and the spool counts as safe."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.publisher import Publisher
from schemas.rates import Rates
from schemas.stripe_webhook import NEEDED_EVENTS, Options, Reference, StripeWebhook, stripe_app
from schemas.stripe_webhook.facts import READERS
from schemas.telegram import Tracker
from tests.support.spooling import brief, spooled, spooling
from tests.support.stripe_events import (
    AT,
    SECRET,
    USER,
    charge,
    dispute,
    event,
    intent,
    invoice,
    refund,
    session,
    signed,
)
from tests.support.updates import paid, update

SPOOL = Options(spool=True)
WORTH = {"amount_cents": 1000, "original": {"amount_minor": 1000, "currency": "USD"}}
PART = {"amount_cents": 300, "original": {"amount_minor": 300, "currency": "USD"}}
NAMES = {"provider": "stripe", "charge_id": "pi_1"}

CASES: list[tuple[str, dict[str, Any], tuple[str, dict[str, Any]]]] = [
    ("paid", event("payment_intent.succeeded", intent()),
     ("payment.succeeded", {**NAMES, **WORTH, "method": "card"})),
    ("paid for credits",
     event("payment_intent.succeeded", intent(metadata={**USER, "purpose": "credits", "credits": "100",
           "content_id": "photo-7", "auto_recharge": "true"})),
     ("payment.succeeded", {**NAMES, **WORTH, "method": "card", "purpose": "credits", "credits": 100,
                            "content_id": "photo-7", "auto_recharge": True})),
    ("metadata of the bot's own",
     event("payment_intent.succeeded", intent(metadata={**USER, "purpose": "fun", "credits": "many"})),
     ("payment.succeeded", {**NAMES, **WORTH, "method": "card"})),
    ("paid by wallet", event("payment_intent.succeeded", intent(latest_charge={"id": "ch_1", "payment_method_details":
     {"type": "paypal"}})), ("payment.succeeded", {**NAMES, **WORTH, "method": "wallet"})),
    ("paid in one of several ways", event("payment_intent.succeeded", intent(payment_method_types=["card", "ideal"])),
     ("payment.succeeded", {**NAMES, **WORTH, "method": "other"})),
    ("paid in yen", event("payment_intent.succeeded", intent(currency="jpy", amount_received=1500)),
     ("payment.succeeded", {**NAMES, "method": "card", "amount_cents": 1005,
                            "original": {"amount_minor": 1500, "currency": "JPY"}})),
    ("declined", event("payment_intent.payment_failed", intent(amount_received=0, last_payment_error={
        "charge": "ch_0", "code": "card_declined", "decline_code": "insufficient_funds", "payment_method":
        {"type": "card"}})),
     ("payment.failed", {"provider": "stripe", "attempt_id": "ch_0", "method": "card", **WORTH,
                         "failure_code": "insufficient_funds"})),
    ("refunded in part", event("charge.refunded", charge(300), {"amount_refunded": 0}),
     ("payment.refunded", {**NAMES, **PART, "refund_id": "ch_1:300"})),
    ("refunded further", event("charge.refunded", charge(1000), {"amount_refunded": 700}),
     ("payment.refunded", {**NAMES, **PART, "refund_id": "ch_1:1000"})),
    ("refunds listed, as old versions have them",
     event("charge.refunded", charge(300, refunds={"data": [refund("re_1", 300)]})),
     ("payment.refunded", {**NAMES, **PART, "refund_id": "re_1", "reason": "requested_by_customer"})),
    ("a refund", event("refund.created", refund("re_1", 300, reason=None)),
     ("payment.refunded", {**NAMES, **PART, "refund_id": "re_1"})),
    ("a failed refund", event("refund.failed", refund("re_1", 300, status="failed")),
     ("payment.refund_failed", {**NAMES, "refund_id": "re_1"})),
    ("disputed", event("charge.dispute.created", dispute()),
     ("payment.dispute_opened", {**NAMES, "dispute_id": "du_1", "amount_cents": 1000, "reason": "fraudulent"})),
    ("dispute lost", event("charge.dispute.closed", dispute(status="lost")),
     ("payment.dispute_closed", {**NAMES, "dispute_id": "du_1", "outcome": "lost"})),
    ("dispute won", event("charge.dispute.closed", dispute(status="won")),
     ("payment.dispute_closed", {**NAMES, "dispute_id": "du_1", "outcome": "won"})),
    ("inquiry closed", event("charge.dispute.closed", dispute(status="warning_closed")),
     ("payment.dispute_closed", {**NAMES, "dispute_id": "du_1", "outcome": "won"})),
    ("an old charge without an intent", event("charge.dispute.closed", dispute(payment_intent=None, status="won")),
     ("payment.dispute_closed", {"provider": "stripe", "charge_id": "ch_1", "dispute_id": "du_1", "outcome": "won"})),
    ("subscription renewed", event("invoice.paid", invoice()),
     ("subscription.renewed", {"subscription_id": "sub_1", "plan": "gold", "amount_cents": 900, "charge_id": "pi_1",
                               "expires_at": "2026-02-01T03:04:05.000Z"})),
    ("subscription begun, as old versions have it",
     event("invoice.paid", invoice(billing_reason="subscription_create", parent=None, payments=None,
           subscription="sub_1", payment_intent="pi_1", metadata={"telegram_id": "123456789"})),
     ("subscription.started", {"subscription_id": "sub_1", "amount_cents": 900, "charge_id": "pi_1",
                               "expires_at": "2026-02-01T03:04:05.000Z"})),
    ("subscription unpaid", event("invoice.payment_failed", invoice(amount_paid=0)),
     ("subscription.payment_failed", {"subscription_id": "sub_1", "plan": "gold", "amount_cents": 900,
                                      "charge_id": "pi_1"})),
    ("subscription ended",
     event("customer.subscription.deleted", {"id": "sub_1", "customer": "cus_1", "metadata": {}}),
     ("subscription.cancelled", {"subscription_id": "sub_1", "effective": "now"})),
]  # fmt: skip


async def everybody(reference: Reference) -> int:
    return 123456789


@pytest.mark.parametrize(("sent", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_an_event_says(tmp_path: Path, sent: dict[str, Any], expected: tuple[str, dict[str, Any]]) -> None:
    options = Options(rates=Rates({"JPY": "0.0067"}), resolve=everybody, spool=True)
    async with spooling(tmp_path / "spool.db") as publisher:
        webhook = StripeWebhook(publisher, SECRET, options)
        for _ in range(2):  # Stripe sends some twice
            assert (await webhook.handle(*signed(sent))).status == 200
        first, second = await spooled(publisher)
    assert first == second
    fact, data = expected
    assert brief(first) == (fact, "123456789", data)
    assert (first["id"], first["time"]) == (sent["id"], "2026-01-02T03:04:05.000Z")
    assert "example.com" not in str(first)


def test_the_types_to_choose_are_those_that_are_read() -> None:
    assert set(NEEDED_EVENTS) == set(READERS) - {"charge.refund.updated"}  # the old name of refund.updated


async def test_refunds_are_counted_once_in_every_order_and_both_ways_of_telling(tmp_path: Path) -> None:
    """Two refunds of 300 and one of 400, each told as a refund and as a grown amount; two of the six are repeated."""
    told = [
        event("refund.created", refund("re_1", 300)),
        event("refund.created", refund("re_2", 300)),
        event("refund.updated", refund("re_3", 400)),
        event("charge.refunded", charge(300), {"amount_refunded": 0}),
        event("charge.refunded", charge(600), {"amount_refunded": 300}),
        event("charge.refunded", charge(1000), {"amount_refunded": 600}),
    ]
    for number, order in enumerate(itertools.permutations(told)):
        if number % 12:  # 60 of 720
            continue
        async with spooling(tmp_path / f"{number}.db") as publisher:
            webhook = StripeWebhook(publisher, SECRET, Options(resolve=everybody, spool=True))
            for sent in (*order, order[0], order[3]):
                assert (await webhook.take(sent)).status == 200
            refunds = {e["data"]["refund_id"]: e["data"]["amount_cents"] for e in await spooled(publisher)}
        assert sorted(refunds.values()) == [300, 300, 400], [sent["id"] for sent in order]


async def test_what_is_nobodys_yet_is_kept_until_a_session_tells_whose_it_is(tmp_path: Path) -> None:
    early = [
        event("charge.dispute.created", dispute()),
        event("charge.refunded", charge(1000), {"amount_refunded": 0}),
        event("payment_intent.succeeded", intent(metadata={})),
    ]
    async with spooling(tmp_path / "spool.db") as publisher:
        webhook = StripeWebhook(publisher, SECRET, SPOOL)
        for sent in (*early, early[0]):
            assert (await webhook.handle(*signed(sent))).status == 202
        assert webhook.counts.kept == 3
        assert await spooled(publisher) == []
    # A restart forgets nothing.
    async with spooling(tmp_path / "spool.db") as publisher:
        webhook = StripeWebhook(publisher, SECRET, SPOOL)
        assert await webhook.retry_kept() == 3
        done = await webhook.handle(*signed(event("checkout.session.completed", session())))
        assert done.status == 200
        assert webhook.counts.kept == 0
        events = await spooled(publisher)
        # What comes later is known at once, by its intent or its customer.
        for later in (event("charge.dispute.closed", dispute(status="won")), event("payment_intent.succeeded",
                      intent(id="pi_2", metadata={}, latest_charge="ch_2"))):  # fmt: skip
            assert (await webhook.handle(*signed(later))).status == 200
    assert [brief(e)[:2] for e in events] == [
        ("payment.dispute_opened", "123456789"),
        ("payment.refunded", "123456789"),
        ("payment.succeeded", "123456789"),
    ]


@pytest.mark.parametrize("told", ["0", "-5", "1e9", "٣", "99999999999999999", ""])
async def test_what_is_no_telegram_id_resolves_nothing(tmp_path: Path, told: str) -> None:
    sent = event("payment_intent.succeeded", intent(metadata={"telegram_id": told}))
    async with spooling(tmp_path / "spool.db") as publisher:
        assert (await StripeWebhook(publisher, SECRET, SPOOL).take(sent)).status == 202


async def test_money_without_a_rate_or_beyond_a_limit_is_kept(tmp_path: Path) -> None:
    async with spooling(tmp_path / "spool.db") as publisher:
        webhook = StripeWebhook(publisher, SECRET, SPOOL)
        euros = await webhook.take(event("payment_intent.succeeded", intent(currency="eur")))
        large = await webhook.take(event("payment_intent.succeeded", intent(amount_received=1_000_001)))
        strange = await webhook.take(event("payment_intent.succeeded", {"id": "pi_9"}))
        assert [answer.status for answer in (euros, large, strange)] == [202] * 3
        assert "EUR" in euros.detail
        assert "amount_cents" in large.detail
        webhook = StripeWebhook(publisher, SECRET, Options(rates=Rates({"EUR": "1.1"}), spool=True))
        assert await webhook.retry_kept() == 2
        assert [e["data"]["amount_cents"] for e in await spooled(publisher)] == [1100]


async def test_a_payment_through_telegram_is_not_published_twice(tmp_path: Path) -> None:
    intent_of_telegram = event("payment_intent.succeeded", intent(metadata={}, customer=None))
    payment = paid(
        currency="USD", total_amount=1000, telegram_payment_charge_id="tp_1", provider_payment_charge_id="ch_1"
    )

    async def facts(publisher: Publisher) -> list[str]:
        return [brief(e)[0] for e in await spooled(publisher) if "payment" in e["type"]]

    for first in ("update", "webhook"):
        async with spooling(tmp_path / f"{first}.db") as publisher:
            webhook, tracker = StripeWebhook(publisher, SECRET, SPOOL), Tracker(publisher)
            if first == "update":
                await tracker.take(update(1, message=payment))
                assert (await webhook.take(intent_of_telegram)).status == 200
                assert webhook.counts.ignored["through Telegram Payments"] == 1
            else:
                assert (await webhook.take(intent_of_telegram)).status == 202
                await tracker.take(update(1, message=payment))
                assert await webhook.retry_kept() == 0
            assert await facts(publisher) == ["payment.succeeded"]
    async with spooling(tmp_path / "told.db") as publisher:
        options = Options(through_telegram=lambda thing: thing["description"] == "Telegram", spool=True)
        sent = event("payment_intent.succeeded", intent(description="Telegram"))
        assert (await StripeWebhook(publisher, SECRET, options).take(sent)).status == 200
        assert await spooled(publisher) == []


async def test_only_stripe_is_listened_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good, signature = signed(event("payment_intent.succeeded", intent()))
    async with spooling(tmp_path / "spool.db") as publisher:
        webhook = StripeWebhook(publisher, SECRET, SPOOL)
        for payload, header in (
            (good, None),
            (good, ""),
            (good, "t=1,v1=00"),
            (good + b" ", signature),
            signed(good, secret="whsec_other"),
            signed(good, at=AT),  # too long ago
            (b"\xff", signature),
            signed(b"no JSON"),
        ):
            assert (await webhook.handle(payload, header)).status == 400
        assert webhook.counts.refused_signatures == 8
        assert await spooled(publisher) == []
    assert SECRET not in caplog.text
    assert "example.com" not in caplog.text


async def test_an_unknown_type_is_counted_and_kafka_away_is_not_answered_with_200(tmp_path: Path) -> None:
    async with spooling(tmp_path / "spool.db") as publisher:
        webhook = StripeWebhook(publisher, SECRET)
        assert (await webhook.take(event("customer.created", {"id": "cus_1"}))).status == 200
        assert webhook.counts.ignored == {"customer.created": 1}
        assert (await webhook.take(event("payment_intent.succeeded", intent()))).status == 503
        assert await spooled(publisher) == []


async def test_the_application_answers_what_the_webhook_says(tmp_path: Path) -> None:
    async with spooling(tmp_path / "spool.db") as publisher:
        webhook = StripeWebhook(publisher, SECRET, Options(spool=True, max_body_bytes=10_000))
        transport = httpx.ASGITransport(stripe_app(webhook))
        async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
            payload, signature = signed(event("payment_intent.succeeded", intent()), at=int(time.time()))
            header = {"Stripe-Signature": signature}
            assert (await client.post("/", content=payload, headers=header)).status_code == 200
            assert (await client.post("/", content=payload)).status_code == 400
            assert (await client.post("/", content=b"x" * 10_001, headers=header)).status_code == 413
            assert (await client.get("/")).status_code == 405
        assert len(await spooled(publisher)) == 1
