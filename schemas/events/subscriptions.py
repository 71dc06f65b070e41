"""Subscriptions. Their money is counted from payments; the amounts here describe."""

from __future__ import annotations

from typing import Literal

from .. import limit_checks
from ..envelope import UserEvent, Value
from ..fields import Count, Id, Text, WireTime


class SubscriptionData(Value):
    """A subscription as it is from now on; `charge_id` is a reference only."""

    subscription_id: Id
    plan: Text | None = None
    amount_cents: Count | None = None
    charge_id: Id | None = None
    expires_at: WireTime | None = None


class SubscriptionStarted(UserEvent):
    """A subscription began."""

    limit_check = limit_checks.payment
    type: Literal["botpulse.subscription.started.v1"] = "botpulse.subscription.started.v1"
    data: SubscriptionData


class SubscriptionRenewed(UserEvent):
    """A subscription was prolonged."""

    limit_check = limit_checks.payment
    type: Literal["botpulse.subscription.renewed.v1"] = "botpulse.subscription.renewed.v1"
    data: SubscriptionData


class SubscriptionCancelledV1(UserEvent):
    """A subscription will not be prolonged; the first version, read for ever."""

    limit_check = limit_checks.payment
    type: Literal["botpulse.subscription.cancelled.v1"] = "botpulse.subscription.cancelled.v1"
    data: SubscriptionData


class SubscriptionCancelledData(Value):
    """`effective` says whether what was paid for runs on until `expires_at`; `reason` is the bot's own word for why."""

    subscription_id: Id
    effective: Literal["now", "period_end"]
    plan: Text | None = None
    expires_at: WireTime | None = None
    reason: Text | None = None


class SubscriptionCancelled(UserEvent):
    """A subscription will not be prolonged."""

    type: Literal["botpulse.subscription.cancelled.v2"] = "botpulse.subscription.cancelled.v2"
    data: SubscriptionCancelledData


class SubscriptionPaymentFailed(UserEvent):
    """A subscription could not be charged."""

    limit_check = limit_checks.payment
    type: Literal["botpulse.subscription.payment_failed.v1"] = "botpulse.subscription.payment_failed.v1"
    data: SubscriptionData
