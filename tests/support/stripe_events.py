"""Events as Stripe sends them: those members of its objects that matter here, and some that must not."""

from __future__ import annotations

import itertools
import json
from typing import Any

import stripe

SECRET = "whsec_test"
AT = 1_767_323_045
USER = {"telegram_id": "123456789"}
_numbers = itertools.count(1)


def event(kind: str, thing: dict[str, Any], previous: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    data = {"object": thing, **({"previous_attributes": previous} if previous else {})}
    number = next(_numbers)
    envelope = {
        "id": f"evt_{number}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": AT,
        "type": kind,
    }
    return {**envelope, "data": data, "livemode": True, **members}


def signed(content: dict[str, Any] | bytes, secret: str = SECRET, at: int | None = None) -> tuple[bytes, str]:
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return payload, stripe.WebhookSignature.generate_signature_header(payload.decode(), secret, at)


def intent(**members: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 1000,
        "amount_received": 1000,
        "currency": "usd",
        "customer": "cus_1",
        "latest_charge": "ch_1",
        "payment_method_types": ["card"],
        "metadata": USER,
        "last_payment_error": None,
        "receipt_email": "ada@example.com",
        **members,
    }


def charge(refunded: int, **members: Any) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 1000,
        "amount_refunded": refunded,
        "currency": "usd",
        "customer": "cus_1",
        "payment_intent": "pi_1",
        "metadata": {},
        **members,
    }


def refund(name: str, amount: int, **members: Any) -> dict[str, Any]:
    return {
        "id": name,
        "object": "refund",
        "amount": amount,
        "charge": "ch_1",
        "currency": "usd",
        "payment_intent": "pi_1",
        "metadata": {},
        "reason": "requested_by_customer",
        "status": "succeeded",
        **members,
    }


def dispute(**members: Any) -> dict[str, Any]:
    return {
        "id": "du_1",
        "object": "dispute",
        "amount": 1000,
        "charge": "ch_1",
        "currency": "usd",
        "payment_intent": "pi_1",
        "metadata": {},
        "reason": "fraudulent",
        "status": "needs_response",
        **members,
    }


def session(**members: Any) -> dict[str, Any]:
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "client_reference_id": "123456789",
        "customer": "cus_1",
        "payment_intent": "pi_1",
        "subscription": None,
        "metadata": {},
        **members,
    }


def invoice(**members: Any) -> dict[str, Any]:
    """As the API has it since 2025-03-31."""
    return {
        "id": "in_1",
        "object": "invoice",
        "amount_due": 900,
        "amount_paid": 900,
        "billing_reason": "subscription_cycle",
        "currency": "usd",
        "customer": "cus_1",
        "metadata": {},
        "lines": {"data": [{"period": {"start": AT, "end": AT + 2_592_000}}]},
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": {"plan": "gold", **USER}}},
        "payments": {"data": [{"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]},
        **members,
    }
