"""Business limits: versioned data, each version with the broker time from which it holds.

Changing a limit means adding a version to limits.json; a record keeps the fate that the limits of its own
time gave it.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from typing import Any, Final, NamedTuple

from .data_files import read_json


class Limits(NamedTuple):
    """One version; `from_ms` is broker time in milliseconds since 1970, money is in cents."""

    version: int
    from_ms: int
    content_price_cents_max: int
    auto_recharge_cents_min: int
    auto_recharge_cents_max: int
    credits_max: int
    payment_cents_max: int


def _read(entry: dict[str, Any]) -> Limits:
    start = datetime.fromisoformat(entry["from"])
    numbers = {name: entry[name] for name in Limits._fields if name != "from_ms"}
    return Limits(from_ms=round(start.timestamp() * 1000), **numbers)


ALL_LIMITS: Final[tuple[Limits, ...]] = tuple(
    sorted((_read(entry) for entry in read_json("limits.json")), key=lambda limits: limits.from_ms)
)
CURRENT_LIMITS: Final = ALL_LIMITS[-1]


def limits_at(timestamp: int, versions: tuple[Limits, ...] = ALL_LIMITS) -> Limits:
    """Return the limits in force at the broker time `timestamp` (milliseconds since 1970).

    Before the first version's start the first version holds.
    """
    index = bisect_right(versions, timestamp, key=lambda limits: limits.from_ms)
    return versions[max(index - 1, 0)]
