"""A user's rolling windows as of a moment, from the buckets of the aggregate. Pure."""

from __future__ import annotations

from typing import NamedTuple

from .aggregate import DAY_MS, HOUR_MS, Buckets, UserAggregate


class Window(NamedTuple):
    """What a user did in a window: 24 hour buckets, or 7 or 30 day buckets, each counting the current one."""

    messages: int
    purchases: int
    spend_cents: int
    credits_spent: int
    unlocks: int


def windows(user: UserAggregate, now_ms: int) -> dict[str, Window]:
    """The windows `24h`, `7d` and `30d` as of `now_ms` (milliseconds since 1970); later buckets are left out."""
    hour, day = now_ms // HOUR_MS, now_ms // DAY_MS
    return {
        "24h": _sum(user.hours, hour - 23, hour),
        "7d": _sum(user.days, day - 6, day),
        "30d": _sum(user.days, day - 29, day),
    }


def _sum(buckets: Buckets, first: int, last: int) -> Window:
    inside = [bucket[1:] for bucket in buckets if first <= bucket[0] <= last]
    return Window(*map(sum, zip(*inside, strict=True))) if inside else Window(0, 0, 0, 0, 0)
