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
    last_active_us                latest own action, any copy of a payment included, microseconds since 1970, null
                  before the first
    hours, days   buckets by event time: [[hour or day since 1970, messages, purchases, spend_cents,
                  credits_spent, unlocks], ...]; purchases and spend gross; kept while a window of 24 hours,
                  or of 30 days, that counts the current one can still see them
    recent        the last 64 events' 64-bit digests, little-endian, base64: a repeated event changes nothing
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass, field

import orjson

RECENT_EVENTS = 64
HOURS_KEPT = 24
DAYS_KEPT = 30
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

_APPLIED_PREFIX = b'{"v":1,"applied":'

MESSAGES, PURCHASES, SPEND_CENTS, CREDITS_SPENT, UNLOCKS = range(5)
"""Places of a bucket's counters."""

Buckets = dict[int, list[int]]


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
    hours: Buckets = field(default_factory=dict)
    days: Buckets = field(default_factory=dict)
    recent: dict[int, None] = field(default_factory=dict)

    def remember(self, digest: int) -> bool:
        """Whether the event of this digest is new among the last RECENT_EVENTS; it is remembered then."""
        recent = self.recent
        if digest in recent:
            return False
        recent[digest] = None
        if len(recent) > RECENT_EVENTS:
            del recent[next(iter(recent))]
        return True

    def count(self, time_us: int, counter: int, amount: int) -> None:
        """Add to a counter of the hour and the day of `time_us`, unless no window can see them any more."""
        hour = time_us // (HOUR_MS * 1000)
        if hour > self.at_ms // HOUR_MS - HOURS_KEPT:
            _add(self.hours, hour, counter, amount)
        day = time_us // (DAY_MS * 1000)
        if day > self.at_ms // DAY_MS - DAYS_KEPT:
            _add(self.days, day, counter, amount)

    def acted(self, time_us: int) -> None:
        """The user did something at this time."""
        if self.last_active_us is None or time_us > self.last_active_us:
            self.last_active_us = time_us

    def encode(self) -> bytes:
        """The public value; buckets that no window can see at `at_ms` are dropped from it and from here."""
        _drop_before(self.hours, self.at_ms // HOUR_MS - HOURS_KEPT)
        _drop_before(self.days, self.at_ms // DAY_MS - DAYS_KEPT)
        recent = struct.pack(f"<{len(self.recent)}Q", *self.recent)
        return orjson.dumps(
            {
                "v": 1,
                "applied": self.applied,
                "at_ms": self.at_ms,
                "tier": self.tier,
                "rules": self.rules,
                "purchases": self.purchases,
                "spent_cents": self.spent_cents,
                "refunds": self.refunds,
                "refunded_cents": self.refunded_cents,
                "messages": self.messages,
                "credits": self.credits,
                "credits_spent": self.credits_spent,
                "unlocks": self.unlocks,
                "last_active_us": self.last_active_us,
                "hours": _encode(self.hours),
                "days": _encode(self.days),
                "recent": binascii.b2a_base64(recent, newline=False).decode(),
            }
        )


def decode(value: bytes) -> UserAggregate:
    """Read a value written by `UserAggregate.encode`."""
    document = orjson.loads(value)
    recent = binascii.a2b_base64(document["recent"])
    return UserAggregate(
        applied=document["applied"],
        at_ms=document["at_ms"],
        tier=document["tier"],
        rules=document["rules"],
        purchases=document["purchases"],
        spent_cents=document["spent_cents"],
        refunds=document["refunds"],
        refunded_cents=document["refunded_cents"],
        messages=document["messages"],
        credits=document["credits"],
        credits_spent=document["credits_spent"],
        unlocks=document["unlocks"],
        last_active_us=document["last_active_us"],
        hours={bucket[0]: bucket[1:] for bucket in document["hours"]},
        days={bucket[0]: bucket[1:] for bucket in document["days"]},
        recent=dict.fromkeys(struct.unpack(f"<{len(recent) // 8}Q", recent)),
    )


def applied_of(value: bytes) -> int:
    """The applied offset of an encoded aggregate, without decoding the rest."""
    if not value.startswith(_APPLIED_PREFIX):
        raise ValueError(f"not a user aggregate of version 1: {value[:24]!r}")
    return int(value[len(_APPLIED_PREFIX) : value.index(b",", len(_APPLIED_PREFIX))])


def _add(buckets: Buckets, bucket: int, counter: int, amount: int) -> None:
    counters = buckets.get(bucket)
    if counters is None:
        counters = buckets[bucket] = [0, 0, 0, 0, 0]
    counters[counter] += amount


def _encode(buckets: Buckets) -> list[list[int]]:
    return [[bucket, *counters] for bucket, counters in sorted(buckets.items()) if any(counters)]


def _drop_before(buckets: Buckets, last_dropped: int) -> None:
    if buckets and min(buckets) <= last_dropped:
        for bucket in [bucket for bucket in buckets if bucket <= last_dropped]:
            del buckets[bucket]
