"""When people use a bot: more in the evening, more at weekends, more as the bot grows."""

from __future__ import annotations

from bisect import bisect_left

from deploy.simulate.clock import DAY, HOUR

# Relative activity of the 24 hours of a UTC day.
_HOURS = (3, 2, 1, 1, 1, 2, 4, 6, 8, 9, 9, 10, 11, 11, 10, 10, 11, 13, 15, 17, 18, 16, 11, 6)
# Monday to Sunday, in percent.
_WEEKDAYS = (95, 92, 94, 97, 108, 118, 112)
_GROWTH = 0.6


class Rhythm:
    """Spreads a share 0 … 1 of all events over the span between two moments."""

    def __init__(self, start: int, end: int) -> None:
        self._start, self._end = start, end
        self._edges = [start]
        self._weights = [0.0]
        at = start
        while at < end:
            until = min((at // HOUR + 1) * HOUR, end)
            self._edges.append(until)
            self._weights.append(self._weights[-1] + self._weight(at) * (until - at))
            at = until

    def _weight(self, at: int) -> float:
        day, rest = divmod(at, DAY)
        growth = 1 + _GROWTH * (at - self._start) / (self._end - self._start)
        # 1970-01-01 was a Thursday.
        return _HOURS[rest // HOUR] * _WEEKDAYS[(day + 3) % 7] * growth

    def at(self, share: float) -> int:
        """The moment by which `share` of all events has happened."""
        wanted = min(max(share, 0.0), 1.0) * self._weights[-1]
        right = max(1, bisect_left(self._weights, wanted))
        low, high = self._weights[right - 1], self._weights[right]
        inside = (wanted - low) / (high - low)
        return self._edges[right - 1] + int(inside * (self._edges[right] - self._edges[right - 1]))
