from __future__ import annotations

from schemas.kafka.lag import Lag


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_seconds_behind() -> None:
    clock = Clock()
    lag = Lag(clock)
    assert lag.measure("a", end=5, next_offset=5) == (0, 0.0)
    clock.now += 3600
    assert lag.measure("a", end=5, next_offset=5) == (0, 0.0)
    clock.now += 2
    assert lag.measure("a", end=7, next_offset=5) == (2, 2.0), "not an hour: nothing waited until 2 s ago"
    clock.now += 10
    assert lag.measure("a", end=9, next_offset=5) == (4, 12.0)
    lag.applied("a", int((clock.now - 8) * 1000))
    assert lag.measure("a", end=9, next_offset=8) == (1, 8.0), "as old as what was applied last"
    lag.applied("a", int((clock.now - 50) * 1000))
    assert lag.measure("a", end=9, next_offset=8) == (1, 8.0), "an older record makes nothing older"
    lag.forget("a")
    assert lag.measure("a", end=9, next_offset=8) == (1, 0.0), "of an unknown past nothing is said"
