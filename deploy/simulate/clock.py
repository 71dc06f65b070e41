"""Moments of the simulation: whole microseconds since 1970, UTC, and their text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(when: datetime) -> int:
    """The aware datetime `when` as microseconds since 1970."""
    return (when - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def text(at: int) -> str:
    """`at` in the contract's form: milliseconds where they say it all, else microseconds."""
    day, rest = divmod(at, DAY)
    seconds, micros = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    if micros % 1000:
        return f"{_date(day)}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
    return f"{_date(day)}T{hour:02}:{minute:02}:{second:02}.{micros // 1000:03}Z"
