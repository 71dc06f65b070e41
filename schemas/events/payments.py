"""Money: charges, failed attempts, refunds and disputes.

A charge is known by the provider's charge id. Amounts are integer cents of the reporting currency; what was
really charged rides along as `original`.
"""

from __future__ import annotations

from typing import Literal

from .. import limit_checks
from ..envelope import UserEvent, Value
from ..fields import Count, Flag, Id, Positive, Text

Provider = Literal["telegram_stars", "telegram_payments", "stripe", "other"]
Method = Literal["stars", "card", "wallet", "bank", "crypto", "other"]
Purpose = Literal["credits", "content", "subscription", "other"]


class Original(Value):
    """The amount in minor units of the currency that was charged (Telegram Stars are XTR)."""

    amount_minor: Count
    currency: Text


class PaymentSucceededData(Value):
    """`auto_recharge` says whether the purchase was made for the user by the auto-recharge."""

    charge_id: Id
    provider: Provider
    method: Method
    amount_cents: Positive
    original: Original | None = None
    purpose: Purpose | None = None
    credits: Count | None = None
    content_id: Id | None = None
    subscription_id: Id | None = None
    auto_recharge: Flag | None = None


class PaymentSucceeded(UserEvent):
    """A charge went through."""

    limit_check = limit_checks.charge
    type: Literal["botpulse.payment.succeeded.v1"] = "botpulse.payment.succeeded.v1"
    data: PaymentSucceededData


class PaymentFailedData(Value):
    """`failure_code` is the provider's."""

    attempt_id: Id
    provider: Provider
    method: Method
    amount_cents: Positive
    original: Original | None = None
    failure_code: Text
    purpose: Purpose | None = None
    auto_recharge: Flag | None = None


class PaymentFailed(UserEvent):
    """An attempt to pay failed."""

    limit_check = limit_checks.payment
    type: Literal["botpulse.payment.failed.v1"] = "botpulse.payment.failed.v1"
    data: PaymentFailedData


class PaymentRefundedData(Value):
    """`amount_cents` is this refund alone, at its charge's rate."""

    charge_id: Id
    provider: Provider
    refund_id: Id
    amount_cents: Positive
    original: Original | None = None
    reason: Text | None = None


class PaymentRefunded(UserEvent):
    """A charge, or a part of it, was paid back."""

    limit_check = limit_checks.payment
    type: Literal["botpulse.payment.refunded.v1"] = "botpulse.payment.refunded.v1"
    data: PaymentRefundedData


class PaymentRefundFailedData(Value):
    """Names the refund that then counts nowhere."""

    charge_id: Id
    provider: Provider
    refund_id: Id


class PaymentRefundFailed(UserEvent):
    """A refund announced before, or still to come, failed."""

    type: Literal["botpulse.payment.refund_failed.v1"] = "botpulse.payment.refund_failed.v1"
    data: PaymentRefundFailedData


class PaymentDisputeOpenedData(Value):
    """`amount_cents` is what the dispute is about; an open dispute takes nothing from the charge yet."""

    charge_id: Id
    provider: Provider
    dispute_id: Id
    amount_cents: Positive
    reason: Text | None = None


class PaymentDisputeOpened(UserEvent):
    """The payer disputes a charge."""

    limit_check = limit_checks.payment
    type: Literal["botpulse.payment.dispute_opened.v1"] = "botpulse.payment.dispute_opened.v1"
    data: PaymentDisputeOpenedData


class PaymentDisputeClosedData(Value):
    """`lost` takes the whole charge."""

    charge_id: Id
    provider: Provider
    dispute_id: Id
    outcome: Literal["won", "lost"]


class PaymentDisputeClosed(UserEvent):
    """A dispute was decided."""

    type: Literal["botpulse.payment.dispute_closed.v1"] = "botpulse.payment.dispute_closed.v1"
    data: PaymentDisputeClosedData
