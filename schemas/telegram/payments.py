"""Money in updates: Telegram Stars (XTR) and Telegram Payments through a provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ..envelope import UserEvent
from ..events import (
    PaymentRefunded,
    PaymentSucceeded,
    SubscriptionCancelled,
    SubscriptionPaymentFailed,
    SubscriptionRenewed,
    SubscriptionStarted,
)
from ..rates import STARS
from .options import Options

Json = Mapping[str, Any]
Made = tuple[type[UserEvent], dict[str, Any]]


def paid(payment: Json, options: Options) -> Iterator[Made]:
    """Yield the events of a SuccessfulPayment. Raises NoRate.

    A subscription is known by the payload of its invoice: that is all that Telegram names it by when it is cancelled.
    """
    details = options.details_of(payment["invoice_payload"])
    recurring = "subscription_expiration_date" in payment or bool(payment.get("is_recurring"))
    data: dict[str, Any] = {
        **_charge(payment, options),
        "method": "stars" if payment["currency"] == STARS else options.telegram_payments_method,
        "purpose": details.purpose or ("subscription" if recurring else None),
        "credits": details.credits,
        "content_id": details.content_id,
        "subscription_id": payment["invoice_payload"] if recurring else None,
        "auto_recharge": details.auto_recharge,
    }
    data = {name: value for name, value in data.items() if value is not None}
    yield PaymentSucceeded, data
    if recurring:
        first = bool(payment.get("is_first_recurring")) or not payment.get("is_recurring")
        subscription = {
            "subscription_id": payment["invoice_payload"],
            "amount_cents": data["amount_cents"],
            "charge_id": data["charge_id"],
        }
        if "subscription_expiration_date" in payment:
            subscription["expires_at"] = datetime.fromtimestamp(payment["subscription_expiration_date"], UTC)
        yield SubscriptionStarted if first else SubscriptionRenewed, subscription


def refunded(payment: Json, options: Options) -> Iterator[Made]:
    """Yield the event of a RefundedPayment: always the whole charge, so there is one refund to a charge."""
    yield PaymentRefunded, {**_charge(payment, options), "refund_id": payment["telegram_payment_charge_id"]}


def subscription(change: Json) -> Iterator[Made]:
    """Yield the event of a BotSubscriptionUpdated."""
    data = {"subscription_id": change["invoice_payload"]}
    match change["state"]:
        case "canceled":
            # What was paid for runs on; Telegram does not say here until when.
            yield SubscriptionCancelled, {**data, "effective": "period_end"}
        case "active":
            yield SubscriptionRenewed, data
        case "failed":
            yield SubscriptionPaymentFailed, data


def provider_charge_of(update: Json) -> str | None:
    """Return the provider's own id of a payment through Telegram Payments; its webhook tells that one too."""
    payment = update.get("message", {}).get("successful_payment")
    return payment.get("provider_payment_charge_id") or None if payment else None


def _charge(payment: Json, options: Options) -> dict[str, Any]:
    currency, amount = payment["currency"], payment["total_amount"]
    return {
        "charge_id": payment["telegram_payment_charge_id"],
        "provider": "telegram_stars" if currency == STARS else "telegram_payments",
        "amount_cents": options.rates.cents(amount, currency),
        "original": {"amount_minor": amount, "currency": currency},
    }
