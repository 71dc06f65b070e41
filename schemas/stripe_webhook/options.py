"""What the owner of a bot decides about Stripe's events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..rates import Rates

NEEDED_EVENTS: Final = (
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.refunded",
    "checkout.session.completed",
    "customer.subscription.deleted",
    "invoice.paid",
    "invoice.payment_failed",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "refund.created",
    "refund.failed",
    "refund.updated",
)
"""The types to choose for the endpoint; any others are counted and answered with 200."""


@dataclass(frozen=True, slots=True)
class Reference:
    """By what an event of Stripe's may be known to the bot; None where it does not say."""

    payment_intent: str | None = None
    charge: str | None = None
    customer: str | None = None
    subscription: str | None = None
    client_reference_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Stripe's own ids in it."""
        return tuple(filter(None, (self.payment_intent, self.charge, self.subscription, self.customer)))


@dataclass(frozen=True, slots=True)
class Options:
    """Without any, whose a payment is must stand in `metadata.telegram_id` or in a session's `client_reference_id`."""

    rates: Rates = field(default_factory=Rates)
    resolve: Callable[[Reference], Awaitable[int | None]] | None = None
    """From a reference to the telegram_id, out of the bot's own tables; None where it is not known (yet)."""
    through_telegram: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether a Stripe object came about through Telegram Payments, which the updates tell already.

    A tracker with the same store as the webhook makes it known without this.
    """
    spool: bool = False
    """Whether an event in the publisher's spool is safe enough for a 200; else only Kafka's acknowledgement is."""
    max_body_bytes: int = 1024 * 1024
