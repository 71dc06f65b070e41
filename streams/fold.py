"""The fold: one user's aggregate, one event at a time. Pure.

What an event means for money is in `streams.money`; here are the counters, the memory of recent events and the tier.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from schemas import events as ev
from schemas.plain import PlainEvent
from schemas.tiers import CURRENT_RULES, tier_of

from . import money
from .aggregate import CREDITS_SPENT, DIGEST_CHARACTERS, MESSAGES, UNLOCKS
from .touched import TouchedUser


class TierDecision(NamedTuple):
    """A user's tier moved: what it was, what it is, and the two numbers that decided it."""

    previous: str
    current: str
    purchases: int
    spent_cents: int


class UserFold(TouchedUser):
    """Folds the events of one user in one batch; `is_duplicate` says whether the latest was one of the user's recent
    ones again."""

    __slots__ = ("is_duplicate",)

    def apply(self, event: PlainEvent, offset: int, broker_ms: int) -> TierDecision | None:
        """Fold one event whose offset lies beyond the applied one; returns the decision if the tier moved.

        Raises InvalidEvent (conflict) for a second fact of a known identity with another amount: then nothing but the
        applied position has changed.
        """
        user = self.user
        self.pass_over(offset, broker_ms)
        time_us = microseconds(event["time"])
        digest = event_digest(event["source"], event["id"], time_us)
        self.is_duplicate = user.remembers(digest)
        if self.is_duplicate:
            return None
        purchases, spent_cents = user.purchases, user.spent_cents
        handler = _HANDLERS.get(event["type"])
        if handler is not None:
            handler(self, event, time_us)
        user.remember(digest)
        if user.purchases == purchases and user.spent_cents == spent_cents and user.rules == CURRENT_RULES.version:
            return None
        return self.decide()

    def pass_over(self, offset: int, broker_ms: int) -> None:
        """Move the applied position to `offset`, and change nothing else."""
        user = self.user
        self.known, self.offset = user.applied, offset
        user.applied = offset
        if broker_ms > user.at_ms:
            user.at_ms = broker_ms

    def decide(self) -> TierDecision | None:
        """Compare the tier with what the current rules say of the aggregate's numbers."""
        user = self.user
        user.rules = CURRENT_RULES.version
        current = tier_of(user.purchases, user.spent_cents)
        if current == user.tier:
            return None
        previous, user.tier = user.tier, current
        return TierDecision(previous, current, user.purchases, user.spent_cents)


def event_digest(source: str, event_id: str, time_us: int) -> bytes:
    """64 bits of (source, id, time), the identity of an event, as 11 characters of base64."""
    text = f"{len(source)}:{source}{time_us}:{event_id}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return binascii.b2a_base64(digest, newline=False)[:DIGEST_CHARACTERS]


def microseconds(time: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    # The whole seconds are exact in a double, and so is the sum in integers.
    return int(time.timestamp()) * 1_000_000 + time.microsecond


def _message_received(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    fold.user.messages += 1
    fold.user.count(time_us, MESSAGES, 1)
    fold.user.acted(time_us)


def _credits_granted(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    fold.user.credits += event["data"]["credits"]


def _credits_spent(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    spent = event["data"]["credits"]
    fold.user.credits -= spent
    fold.user.credits_spent += spent
    fold.user.count(time_us, CREDITS_SPENT, spent)
    fold.user.acted(time_us)


def _content_viewed(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    fold.user.acted(time_us)


def _content_unlocked(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    fold.user.unlocks += 1
    fold.user.count(time_us, UNLOCKS, 1)
    fold.user.acted(time_us)


_BY_CLASS: dict[type[ev.BotEvent], Callable[[TouchedUser, PlainEvent, int], None]] = {
    ev.MessageReceived: _message_received,
    ev.CreditsGranted: _credits_granted,
    ev.CreditsSpent: _credits_spent,
    ev.ContentViewed: _content_viewed,
    ev.ContentUnlocked: _content_unlocked,
    ev.PaymentSucceeded: money.payment_succeeded,
    ev.PaymentFailed: money.payment_failed,
    ev.PaymentRefunded: money.payment_refunded,
    ev.PaymentRefundFailed: money.payment_refund_failed,
    ev.PaymentDisputeOpened: money.dispute_opened,
    ev.PaymentDisputeClosed: money.dispute_closed,
    ev.AutoRechargeTriggered: money.auto_recharge_triggered,
}
_HANDLERS = {event_class.model_fields["type"].default: handler for event_class, handler in _BY_CLASS.items()}
