"""A user's aggregate: the folded state of one user, and its public JSON form on the topic `bot.user-aggregates`.

Version 1 of the value (one JSON object, key = telegram_id as text):

    v             1
    applied       offset on bot.events of the last event folded in; events up to it are never folded again
    at_ms         broker time of that event, milliseconds since 1970 (the greatest seen)
    tier          new | regular | vip | premium
    rules         version of the tier rules that decided it
    purchases     charges with a remainder > 0
    spent_cents   sum of the charges' remainders
    refunds, refunded_cents       refunds that count, and their sum as sent
    messages      message.received
    credits, credits_spent        granted less spent; spent alone
    unlocks       content.unlocked
    last_active_us                latest own action, microseconds since 1970, null before the first; of a payment in
                  several copies the latest (the tables take the copy that supplies the fields: to take a time back,
                  all own actions would have to be kept)
    hours, days   buckets by event time: [[hour or day since 1970, messages, purchases, spend_cents,
                  credits_spent, unlocks], ...]; purchases and spend gross; kept while a window of 24 hours,
                  or of 30 days, that counts the current one can still see them
    recent        the last 64 events' 64-bit digests, oldest first, each as 11 characters of base64: a repeated event
                  changes nothing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import itemgetter
from typing import Any, Final

import orjson

RECENT_EVENTS = 64
DIGEST_CHARACTERS = 11
HOURS_KEPT = 24
DAYS_KEPT = 30
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_HOUR_US = HOUR_MS * 1000

_APPLIED_PREFIX = b'{"v":1,"applied":'
NO_MONEY = b'"purchases":0,"spent_cents":0,"refunds":0,'
"""What an encoded aggregate contains that no ledger entry stands behind, and only then."""
_RECENT_CHARACTERS = RECENT_EVENTS * DIGEST_CHARACTERS

MESSAGES, PURCHASES, SPEND_CENTS, CREDITS_SPENT, UNLOCKS = range(1, 6)
"""Places of the counters in a bucket; its hour or day comes first."""

Buckets = list[list[int]]
"""Sorted by hour or day, none of them all zeros."""


@dataclass(slots=True)
class UserAggregate:
    """Mutable while folding; see the module for every member's meaning."""

    applied: int = -1
    at_ms: int = 0
    tier: str = "new"
    rules: int = 0
    purchases: int = 0
    spent_cents: int = 0
    refunds: int = 0
    refunded_cents: int = 0
    messages: int = 0
    credits: int = 0
    credits_spent: int = 0
    unlocks: int = 0
    last_active_us: int | None = None
    hours: Buckets = field(default_factory=list)
    days: Buckets = field(default_factory=list)
    recent: bytes = b""

    def remembers(self, digest: bytes) -> bool:
        """Whether the event of this digest is among the last RECENT_EVENTS."""
        at = self.recent.find(digest)
        while at > 0 and at % DIGEST_CHARACTERS:
            at = self.recent.find(digest, at + 1)
        return at >= 0

    def remember(self, digest: bytes) -> None:
        """Make the event of this digest the latest of the last RECENT_EVENTS."""
        self.recent = (self.recent + digest)[-_RECENT_CHARACTERS:]

    def count(self, time_us: int, counter: int, amount: int) -> None:
        """Add to a counter of the hour and the day of `time_us`, unless no window can see them any more."""
        hour = time_us // _HOUR_US
        if hour > self.at_ms // HOUR_MS - HOURS_KEPT:
            _add(self.hours, hour, counter, amount)
        day = hour // 24
        if day > self.at_ms // DAY_MS - DAYS_KEPT:
            _add(self.days, day, counter, amount)

    def acted(self, time_us: int) -> None:
        """The user did something at this time."""
        if self.last_active_us is None or time_us > self.last_active_us:
            self.last_active_us = time_us

    def encode(self) -> bytes:
        """The public value; buckets that no window can see at `at_ms` are dropped from it and from here."""
        hours, days = self.hours, self.days
        if hours:
            _drop_up_to(hours, self.at_ms // HOUR_MS - HOURS_KEPT)
        if days:
            _drop_up_to(days, self.at_ms // DAY_MS - DAYS_KEPT)
        # Filled in here in half the time that making a dictionary for the encoder takes. No text in it needs escaping.
        return _VALUE % (
            self.applied,
            self.at_ms,
            self.tier.encode(),
            self.rules,
            self.purchases,
            self.spent_cents,
            self.refunds,
            self.refunded_cents,
            self.messages,
            self.credits,
            self.credits_spent,
            self.unlocks,
            b"null" if self.last_active_us is None else b"%d" % self.last_active_us,
            orjson.dumps(hours) if hours else b"[]",
            orjson.dumps(days) if days else b"[]",
            self.recent,
        )


_VALUE: Final = (
    b'{"v":1,"applied":%d,"at_ms":%d,"tier":"%b","rules":%d,"purchases":%d,"spent_cents":%d,"refunds":%d,'
    b'"refunded_cents":%d,"messages":%d,"credits":%d,"credits_spent":%d,"unlocks":%d,"last_active_us":%b,'
    b'"hours":%b,"days":%b,"recent":"%b"}'
)
_members_in_order: Callable[[dict[str, Any]], tuple[Any, ...]] = itemgetter(
    *(member.name for member in fields(UserAggregate))
)


def decode(value: bytes) -> UserAggregate:
    """Read a value written by `UserAggregate.encode`; raises ValueError for another version's."""
    members = orjson.loads(value)
    if members["v"] != 1:
        raise ValueError("not a user aggregate of version 1")
    members["recent"] = members["recent"].encode()
    # By position: sixteen arguments by name take several times as long as all the rest.
    return UserAggregate(*_members_in_order(members))


def applied_of(value: bytes) -> int:
    """The applied offset of an encoded aggregate, without decoding the rest."""
    if not value.startswith(_APPLIED_PREFIX):
        raise ValueError(f"not a user aggregate of version 1: {value[:24]!r}")
    return int(value[len(_APPLIED_PREFIX) : value.index(b",", len(_APPLIED_PREFIX))])


def rules_marker(version: int) -> bytes:
    """What the encoded aggregate of a user contains if this version of the rules decided the tier, and only then."""
    return b'"rules":%d,' % version


def _add(buckets: Buckets, bucket: int, counter: int, amount: int) -> None:
    if amount >= 0 and buckets and buckets[-1][0] == bucket:  # nearly always: events come about in order
        buckets[-1][counter] += amount
        return
    at = len(buckets)
    while at and buckets[at - 1][0] > bucket:
        at -= 1
    if at and buckets[at - 1][0] == bucket:
        counters = buckets[at - 1]
        counters[counter] += amount
        if amount < 0 and not any(counters[1:]):
            del buckets[at - 1]
        return
    counters = [bucket, 0, 0, 0, 0, 0]
    counters[counter] = amount
    buckets.insert(at, counters)


def _drop_up_to(buckets: Buckets, last_dropped: int) -> None:
    while buckets and buckets[0][0] <= last_dropped:
        del buckets[0]
