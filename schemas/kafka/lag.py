"""How far behind the log's end a partition is: one definition for both services."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable


class Lag:
    """Measures partitions, in records and in seconds.

    Seconds are the age, by the broker's time, of the last applied record while others wait behind it, and at most the
    time since nothing waited: a record that arrives after a quiet hour is not an hour late. 0 while nothing waits.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._since: dict[Hashable, float] = {}

    def applied(self, place: Hashable, appended_ms: int) -> None:
        """The record with this broker time, milliseconds since 1970, is the last one that is applied."""
        self._since[place] = max(self._since.get(place, 0.0), appended_ms / 1000)

    def measure(self, place: Hashable, end: int, next_offset: int) -> tuple[int, float]:
        """Return records and seconds between `next_offset` and the log's end, as of now."""
        now = self._now()
        records = max(0, end - next_offset)
        if not records:
            self._since[place] = now
            return 0, 0.0
        return records, max(0.0, now - self._since.setdefault(place, now))

    def forget(self, place: Hashable) -> None:
        """The partition is another worker's."""
        self._since.pop(place, None)
