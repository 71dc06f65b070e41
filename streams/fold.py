"""The fold: one user's aggregate, one event at a time. Pure.

What an event means for money is in `streams.money`; here are the counters, the memory of recent events and the tier.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from schemas import events as ev
from schemas.tiers import CURRENT_RULES, tier_of

from . import money
from .aggregate import CREDITS_SPENT, DIGEST_CHARACTERS, MESSAGES, UNLOCKS, UserAggregate
from .ledger import Entry, entry_key


class TierDecision(NamedTuple):
    """A user's tier moved: what it was, what it is, and the two numbers that decided it."""

    previous: str
    current: str
    purchases: int
    spent_cents: int


class LedgerStore(Protocol):
    """Where the fold finds ledger entries."""

    def entry(self, key: bytes, kind: str, applied: int) -> Entry:
        """The entry as an aggregate that has applied up to `applied` knows it; an empty one where there is none."""

    def touch(self, key: bytes) -> None:
        """The entry was changed and must be written."""


class UserFold:
    """Folds the events of one user in one batch.

    `base_offset` is what the user's durable aggregate had applied when the batch began; `is_duplicate` whether the
    latest event was one of the user's recent ones again.
    """

    __slots__ = ("base_offset", "is_duplicate", "known", "ledger", "offset", "subject", "user")

    def __init__(self, subject: str, user: UserAggregate, ledger: LedgerStore) -> None:
        self.subject = subject
        self.user = user
        self.ledger = ledger
        self.base_offset = user.applied
        self.known = user.applied
        self.offset = user.applied
        self.is_duplicate = False

    def apply(self, event: Any, offset: int, broker_ms: int) -> TierDecision | None:
        """Fold one event whose offset lies beyond the applied one; returns the decision if the tier moved.

        Raises InvalidEvent (conflict) for a second fact of a known identity with another amount: then nothing but the
        applied position has changed.
        """
        user = self.user
        self.pass_over(offset, broker_ms)
        time_us = microseconds(event.time)
        digest = event_digest(event.source, event.id, time_us)
        self.is_duplicate = user.remembers(digest)
        if self.is_duplicate:
            return None
        numbers = (user.purchases, user.spent_cents)
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, time_us)
        user.remember(digest)
        if numbers == (user.purchases, user.spent_cents) and user.rules == CURRENT_RULES.version:
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

    def entry(self, kind: str, provider: str, identity: str) -> tuple[bytes, Entry]:
        """The ledger entry of one of this user's identities, with its key."""
        key = entry_key(self.subject, kind, provider, identity)
        return key, self.ledger.entry(key, kind, self.known)

    def put(self, key: bytes, entry: Entry, state: Any) -> None:
        """Make `state` the entry's newest version."""
        entry.put(self.offset, state, self.base_offset)
        self.ledger.touch(key)


def event_digest(source: str, event_id: str, time_us: int) -> str:
    """64 bits of (source, id, time), the identity of an event, as 11 characters of base64."""
    text = f"{len(source)}:{source}{time_us}:{event_id}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return binascii.b2a_base64(digest, newline=False)[:DIGEST_CHARACTERS].decode()


def microseconds(time: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    # The whole seconds are exact in a double, and so is the sum in integers.
    return int(time.timestamp()) * 1_000_000 + time.microsecond


def _message_received(fold: UserFold, event: ev.MessageReceived, time_us: int) -> None:
    fold.user.messages += 1
    fold.user.count(time_us, MESSAGES, 1)
    fold.user.acted(time_us)


def _credits_granted(fold: UserFold, event: ev.CreditsGranted, time_us: int) -> None:
    fold.user.credits += event.data.credits


def _credits_spent(fold: UserFold, event: ev.CreditsSpent, time_us: int) -> None:
    fold.user.credits -= event.data.credits
    fold.user.credits_spent += event.data.credits
    fold.user.count(time_us, CREDITS_SPENT, event.data.credits)
    fold.user.acted(time_us)


def _content_viewed(fold: UserFold, event: ev.ContentViewed, time_us: int) -> None:
    fold.user.acted(time_us)


def _content_unlocked(fold: UserFold, event: ev.ContentUnlocked, time_us: int) -> None:
    fold.user.unlocks += 1
    fold.user.count(time_us, UNLOCKS, 1)
    fold.user.acted(time_us)


_HANDLERS: dict[type[Any], Callable[[Any, Any, int], None]] = {
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
