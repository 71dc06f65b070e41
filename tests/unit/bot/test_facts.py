"""What each kind of update says; the same from the Bot API's JSON and from both libraries' own types."""

from __future__ import annotations

import json
from typing import Any

import aiogram.types
import pytest
import telegram

from schemas.adapters.aiogram import as_json
from schemas.rates import NoRate, Rates
from schemas.telegram import Options, PaymentDetails
from schemas.telegram.facts import facts_of, sent_fact
from tests.support.updates import (
    AT,
    CHAT,
    PHOTO,
    USER,
    callback,
    command,
    membership,
    message,
    paid,
    paid_media,
    refunded,
    subscription,
    update,
)

STARS_CHARGE = {
    "charge_id": "stars_1",
    "provider": "telegram_stars",
    "amount_cents": 650,
    "original": {"amount_minor": 500, "currency": "XTR"},
}
FILE = {"file_id": "f", "file_unique_id": "u"}
VIDEO = {**FILE, "width": 1, "height": 1, "duration": 1}
GROUP = {"id": -5, "type": "supergroup", "title": "Group"}
RECURRING = {"is_recurring": True, "subscription_expiration_date": AT + 2_592_000, "invoice_payload": "monthly"}
MONTHLY_CHARGE = {**STARS_CHARGE, "method": "stars", "purpose": "subscription", "subscription_id": "monthly"}
LATER_COMMAND = {"type": "bot_command", "offset": 4, "length": 4}
MONTHLY = {"subscription_id": "monthly", "amount_cents": 650, "charge_id": "stars_1"}


def received(kind: str, **more: Any) -> list[tuple[str, Any]]:
    return [("MessageReceived", {"kind": kind, **more})]


CASES: list[tuple[str, dict[str, Any], list[tuple[str, Any]]]] = [
    ("text", {"message": message(text="Grüße 🙂")}, received("text", length=7)),
    ("command", {"message": command("/buy@demo_bot 5 gold")}, received("command", length=20, command="buy")),
    ("a slash inside", {"message": message(text="see /buy", entities=[LATER_COMMAND])}, received("text", length=8)),
    ("photo", {"message": message(photo=PHOTO, caption="look")}, received("photo", length=4)),
    ("voice", {"message": message(voice={**FILE, "duration": 1})}, received("voice", length=0)),
    ("video", {"message": message(video=VIDEO)}, received("video", length=0)),
    ("video note", {"message": message(video_note={**FILE, "length": 1, "duration": 1})}, received("video", length=0)),
    ("animation", {"message": message(animation=VIDEO, document=FILE)}, received("video", length=0)),
    ("document", {"message": message(document=FILE)}, received("document", length=0)),
    ("contact", {"message": message(contact={"phone_number": "1", "first_name": "B"})}, received("other", length=0)),
    ("a notice", {"message": message(new_chat_title="New")}, []),
    ("in a group", {"message": message(text="hi", chat=GROUP)}, []),
    ("from a bot", {"message": message(text="hi", **{"from": {**USER, "is_bot": True}})}, []),
    ("edited", {"edited_message": message(text="hi", edit_date=AT)}, []),
    ("callback", {"callback_query": callback()}, received("callback")),
    ("callback in a group", {"callback_query": callback(message=message(text="x", chat=GROUP))}, []),
    ("callback of an inline message", {"callback_query": {**callback(inline_message_id="1"), "message": None}},
     received("callback")),
    ("blocked", {"my_chat_member": membership("member", "kicked")}, [("UserBotBlocked", None)]),
    ("unblocked", {"my_chat_member": membership("kicked", "member")}, [("UserBotUnblocked", None)]),
    ("started", {"my_chat_member": membership("left", "member")}, []),
    ("thrown out of a group", {"my_chat_member": membership("member", "kicked", GROUP)}, []),
    ("stars", {"message": paid()}, [("PaymentSucceeded", {**STARS_CHARGE, "method": "stars"})]),
    ("stars in a group", {"message": {**paid(), "chat": GROUP}},
     [("PaymentSucceeded", {**STARS_CHARGE, "method": "stars"})]),
    ("provider", {"message": paid(currency="USD", total_amount=999, telegram_payment_charge_id="tp_1")},
     [("PaymentSucceeded", {"charge_id": "tp_1", "provider": "telegram_payments", "method": "card", "amount_cents": 999,
                            "original": {"amount_minor": 999, "currency": "USD"}})]),
    ("first of a subscription", {"message": paid(**RECURRING, is_first_recurring=True)},
     [("PaymentSucceeded", MONTHLY_CHARGE),
      ("SubscriptionStarted", {**MONTHLY, "expires_at": "2026-02-01T03:04:05"})]),
    ("next of a subscription", {"message": paid(**RECURRING)},
     [("PaymentSucceeded", MONTHLY_CHARGE),
      ("SubscriptionRenewed", {**MONTHLY, "expires_at": "2026-02-01T03:04:05"})]),
    ("refund", {"message": refunded()}, [("PaymentRefunded", {**STARS_CHARGE, "refund_id": "stars_1"})]),
    ("paid media", {"purchased_paid_media": paid_media()},
     [("ContentUnlocked", {"content_id": "photo-7", "price_cents": 0, "paid_with": "payment"})]),
    ("paid media without a payload", {"purchased_paid_media": paid_media("")}, []),
    ("subscription cancelled", {"subscription": subscription("canceled")},
     [("SubscriptionCancelled", {"subscription_id": "monthly", "effective": "period_end"})]),
    ("subscription active again", {"subscription": subscription("active")},
     [("SubscriptionRenewed", {"subscription_id": "monthly"})]),
    ("subscription unpaid", {"subscription": subscription("failed")},
     [("SubscriptionPaymentFailed", {"subscription_id": "monthly"})]),
    ("subscription in a new state", {"subscription": subscription("paused")}, []),
]  # fmt: skip


def facts(content: dict[str, Any], options: Options | None = None) -> list[tuple[str, Any]]:
    found = []
    for fact in facts_of(content, options or Options()):
        assert fact.telegram_id == 123456789
        data = fact.data
        if data is not None and "expires_at" in data:
            data = {**data, "expires_at": data["expires_at"].replace(tzinfo=None).isoformat()}
        found.append((fact.event_class.__name__, data))
    return found


@pytest.mark.parametrize(("members", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_an_update_says(members: dict[str, Any], expected: list[tuple[str, Any]]) -> None:
    kind, content = next(iter(members.items()))
    raw = update(**{kind: {name: value for name, value in content.items() if value is not None}})
    assert facts(raw) == expected
    assert facts(as_json(aiogram.types.Update.model_validate(raw))) == expected
    read = telegram.Update.de_json(json.loads(json.dumps(raw)), None)
    assert read is not None
    assert facts(read.to_dict()) == expected


def test_no_text_and_no_name_is_carried() -> None:
    for content in (message(text="secret"), message(photo=PHOTO, caption="secret"), command("/start secret")):
        assert "secret" not in str(facts(update(message=content)))
        assert "Ada" not in str(facts(update(message=content)))


def test_the_bot_says_what_an_invoice_was_for() -> None:
    def details(payload: str) -> PaymentDetails:
        return PaymentDetails(purpose="credits", credits=int(payload.removeprefix("credits-")))

    ((_, data),) = facts(update(message=paid()), Options(payment_details=details))
    assert (data["purpose"], data["credits"]) == ("credits", 100)
    # A payload that it does not expect costs the details, never the payment.
    ((_, data),) = facts(update(message=paid(invoice_payload="gift")), Options(payment_details=details))
    assert data["amount_cents"] == 650
    assert "credits" not in data
    ((_, data),) = facts(update(purchased_paid_media=paid_media()), Options(paid_media_cents=lambda payload: 499))
    assert data["price_cents"] == 499


def test_money_needs_a_rate() -> None:
    euros = update(message=paid(currency="EUR", total_amount=1000))
    with pytest.raises(NoRate, match="EUR"):
        facts(euros)
    ((_, data),) = facts(euros, Options(rates=Rates({"EUR": "1.0834"})))
    assert data["amount_cents"] == 1083
    assert data["original"] == {"amount_minor": 1000, "currency": "EUR"}


def test_what_the_bot_sends() -> None:
    bot = {"id": 1, "is_bot": True, "first_name": "Bot"}
    fact = sent_fact({**command("/help"), "from": bot})
    assert fact is not None
    assert (fact.event_class.__name__, fact.telegram_id, fact.data) == (
        "MessageSent", CHAT["id"], {"kind": "text", "length": 5}
    )  # fmt: skip
    assert sent_fact({**message(text="hi", chat=GROUP), "from": bot}) is None
