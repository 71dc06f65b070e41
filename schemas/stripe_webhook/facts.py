"""What an event of Stripe's says: pure, from its JSON, of old and new API versions alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ..envelope import UserEvent
from ..events import (
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFailed,
    PaymentSucceeded,
    SubscriptionCancelled,
    SubscriptionPaymentFailed,
    SubscriptionRenewed,
    SubscriptionStarted,
)
from ..rates import STRIPE_EXPONENTS, Rates
from .options import Reference

Json = Mapping[str, Any]
PROVIDER: Final = {"provider": "stripe"}

_METHODS: Final = {
    "card": "card",
    "card_present": "card",
    "crypto": "crypto",
    **dict.fromkeys(
        ("alipay", "amazon_pay", "cashapp", "grabpay", "kakao_pay", "link", "mobilepay", "naver_pay", "paypal", "payco",
         "revolut_pay", "samsung_pay", "twint", "wechat_pay"), "wallet"
    ),
    **dict.fromkeys(
        ("acss_debit", "ach_debit", "au_becs_debit", "bacs_debit", "bancontact", "blik", "customer_balance", "eps",
         "fpx", "giropay", "ideal", "multibanco", "p24", "pay_by_bank", "sepa_debit", "sofort", "us_bank_account"),
        "bank",
    ),
}  # fmt: skip
_PURPOSES: Final = frozenset({"credits", "content", "subscription", "other"})


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund, or what a charge's cumulative amount has grown by."""

    charge_id: str
    amount_minor: int
    currency: str
    name: str
    """Stripe's id of it; where the event has none, the charge and its cumulative amount."""
    has_id: bool
    failed: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An event's facts, about whoever `reference` means. A reading without facts only tells what belongs together."""

    reference: Reference
    facts: list[tuple[type[UserEvent], dict[str, Any]]] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)


def read(event: Json, rates: Rates) -> Reading | None:
    """Return what the event says, None for a type that says nothing to us.

    Raises NoRate; KeyError, TypeError or ValueError for an object that is not as Stripe documents it.
    """
    reader = READERS.get(event["type"])
    return None if reader is None else reader(event, event["data"]["object"], rates)


def money(amount_minor: int, currency: str, rates: Rates) -> dict[str, Any]:
    """Return an amount in the reporting currency and as it was charged."""
    return {
        "amount_cents": rates.cents(amount_minor, currency, STRIPE_EXPONENTS),
        "original": {"amount_minor": amount_minor, "currency": currency.upper()},
    }


def charge_of(thing: Json) -> str:
    """Return the charge id of the contract: the payment intent, of old payments without one the charge."""
    return str(_id(thing.get("payment_intent")) or _id(thing.get("charge")) or thing["id"])


def _succeeded(event: Json, intent: Json, rates: Rates) -> Reading:
    data = {
        **PROVIDER,
        "charge_id": intent["id"],
        "method": _method(intent, intent.get("latest_charge")),
        **money(intent["amount_received"], intent["currency"], rates),
        **_described(intent),
    }
    return Reading(_intent_reference(intent), [(PaymentSucceeded, data)] if intent["amount_received"] else [])


def _failed(event: Json, intent: Json, rates: Rates) -> Reading:
    error = intent.get("last_payment_error") or {}
    described = {name: value for name, value in _described(intent).items() if name in ("purpose", "auto_recharge")}
    data = {
        **PROVIDER,
        # An intent can fail several times; each attempt has a charge, unless it failed before there was one.
        "attempt_id": _id(error.get("charge")) or event["id"],
        "method": _method(intent, error),
        **money(intent["amount"], intent["currency"], rates),
        "failure_code": error.get("decline_code") or error.get("code") or "unknown",
        **described,
    }
    return Reading(_intent_reference(intent), [(PaymentFailed, data)])


def _charge_refunded(event: Json, charge: Json, rates: Rates) -> Reading:
    reference = Reference(
        payment_intent=_id(charge.get("payment_intent")),
        charge=charge["id"],
        customer=_id(charge.get("customer")),
        metadata=charge.get("metadata") or {},
    )
    listed = (charge.get("refunds") or {}).get("data")
    if listed:  # API versions before 2022-11-15 tell each refund here
        return Reading(reference, refunds=[_refund(refund, charge_of(charge)) for refund in listed])
    total = charge["amount_refunded"]
    before = (event["data"].get("previous_attributes") or {}).get("amount_refunded", 0)
    name = f"{charge['id']}:{total}"
    grown = Refund(charge_of(charge), total - before, charge["currency"], name, has_id=False)
    return Reading(reference, refunds=[grown] if grown.amount_minor > 0 else [])


def _refund_told(event: Json, refund: Json, rates: Rates) -> Reading:
    reference = Reference(
        payment_intent=_id(refund.get("payment_intent")),
        charge=_id(refund.get("charge")),
        metadata=refund.get("metadata") or {},
    )
    return Reading(reference, refunds=[_refund(refund, charge_of(refund))])


def _refund(refund: Json, charge_id: str) -> Refund:
    return Refund(
        charge_id,
        refund["amount"],
        refund["currency"],
        refund["id"],
        has_id=True,
        failed=refund.get("status") in ("failed", "canceled"),
        reason=refund.get("reason"),
    )


def _dispute_opened(event: Json, dispute: Json, rates: Rates) -> Reading:
    data = {
        **PROVIDER,
        "charge_id": charge_of(dispute),
        "dispute_id": dispute["id"],
        "amount_cents": money(dispute["amount"], dispute["currency"], rates)["amount_cents"],
        "reason": dispute.get("reason"),
    }
    return Reading(_dispute_reference(dispute), [(PaymentDisputeOpened, _said(data))])


def _dispute_closed(event: Json, dispute: Json, rates: Rates) -> Reading:
    outcome = "lost" if dispute["status"] == "lost" else "won"  # won, or an inquiry or dispute that came to nothing
    data = {**PROVIDER, "charge_id": charge_of(dispute), "dispute_id": dispute["id"], "outcome": outcome}
    return Reading(_dispute_reference(dispute), [(PaymentDisputeClosed, data)])


def _session_completed(event: Json, session: Json, rates: Rates) -> Reading:
    """A session tells whose its intent, customer and subscription are; their own events tell the money."""
    return Reading(
        Reference(
            payment_intent=_id(session.get("payment_intent")),
            customer=_id(session.get("customer")),
            subscription=_id(session.get("subscription")),
            client_reference_id=session.get("client_reference_id"),
            metadata=session.get("metadata") or {},
        )
    )


def _invoice(event: Json, invoice: Json, rates: Rates) -> Reading:
    """An invoice tells of its subscription; the money of it is its payment intent's."""
    details = (invoice.get("parent") or {}).get("subscription_details") or invoice.get("subscription_details") or {}
    subscription = _id(details.get("subscription")) or _id(invoice.get("subscription"))
    intent = _id(invoice.get("payment_intent")) or next(
        (
            _id(payment["payment"].get("payment_intent"))
            for payment in (invoice.get("payments") or {}).get("data", ())
            if payment["payment"].get("payment_intent")
        ),
        None,
    )
    metadata = {**(details.get("metadata") or {}), **(invoice.get("metadata") or {})}
    reference = Reference(
        intent, _id(invoice.get("charge")), _id(invoice.get("customer")), subscription, None, metadata
    )
    if subscription is None:
        return Reading(reference)
    paid = event["type"] == "invoice.paid"
    amount = invoice["amount_paid"] if paid else invoice["amount_due"]
    ends = [line["period"]["end"] for line in (invoice.get("lines") or {}).get("data", ()) if line.get("period")]
    data = {
        "subscription_id": subscription,
        "plan": metadata.get("plan"),
        "amount_cents": money(amount, invoice["currency"], rates)["amount_cents"],
        "charge_id": intent,
        "expires_at": datetime.fromtimestamp(max(ends), UTC) if paid and ends else None,
    }
    first = invoice.get("billing_reason") == "subscription_create"
    event_class = (SubscriptionStarted if first else SubscriptionRenewed) if paid else SubscriptionPaymentFailed
    return Reading(reference, [(event_class, _said(data))])


def _subscription_deleted(event: Json, subscription: Json, rates: Rates) -> Reading:
    reference = Reference(
        customer=_id(subscription.get("customer")),
        subscription=subscription["id"],
        metadata=subscription.get("metadata") or {},
    )
    return Reading(reference, [(SubscriptionCancelled, {"subscription_id": subscription["id"], "effective": "now"})])


READERS: Final[Mapping[str, Callable[[Json, Json, Rates], Reading]]] = {
    "payment_intent.succeeded": _succeeded,
    "payment_intent.payment_failed": _failed,
    "charge.refunded": _charge_refunded,
    "refund.created": _refund_told,
    "refund.updated": _refund_told,
    "refund.failed": _refund_told,
    "charge.refund.updated": _refund_told,
    "charge.dispute.created": _dispute_opened,
    "charge.dispute.closed": _dispute_closed,
    "checkout.session.completed": _session_completed,
    "invoice.paid": _invoice,
    "invoice.payment_failed": _invoice,
    "customer.subscription.deleted": _subscription_deleted,
}


def _intent_reference(intent: Json) -> Reference:
    return Reference(
        payment_intent=intent["id"],
        charge=_id(intent.get("latest_charge")),
        customer=_id(intent.get("customer")),
        metadata=intent.get("metadata") or {},
    )


def _dispute_reference(dispute: Json) -> Reference:
    return Reference(
        payment_intent=_id(dispute.get("payment_intent")),
        charge=_id(dispute.get("charge")),
        metadata=dispute.get("metadata") or {},
    )


def _described(thing: Json) -> dict[str, Any]:
    """Return what the bot wrote into `metadata`: purpose, credits, content_id, auto_recharge. Text that fits nothing is
    passed over.
    """
    metadata = thing.get("metadata") or {}
    found: dict[str, Any] = {}
    if metadata.get("purpose") in _PURPOSES:
        found["purpose"] = metadata["purpose"]
    if str(metadata.get("credits", "")).isdecimal():
        found["credits"] = int(metadata["credits"])
    if metadata.get("content_id"):
        found["content_id"] = metadata["content_id"]
    if metadata.get("auto_recharge") in ("true", "false"):
        found["auto_recharge"] = metadata["auto_recharge"] == "true"
    return found


def _method(intent: Json, teller: Any) -> str:
    """Return how it was paid: as the charge or the error tells, else where only one way was possible."""
    details = teller if isinstance(teller, Mapping) else {}
    told = (details.get("payment_method_details") or details.get("payment_method") or {}).get("type")
    if told is None:
        possible = intent.get("payment_method_types") or []
        told = possible[0] if len(possible) == 1 else None
    return _METHODS.get(told or "", "other")


def _id(thing: Any) -> str | None:
    """Return the id of an object that is expanded or not."""
    found = thing["id"] if isinstance(thing, Mapping) else thing
    return None if found is None else str(found)


def _said(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
