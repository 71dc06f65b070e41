"""What is told, and in which order it reaches the log."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from deploy.simulate.clock import DAY, SECOND, text
from deploy.simulate.faults import NONE, Faults

BOT = "/bots/demo"
"""The source of what the bot itself saw."""


class Told(NamedTuple):
    """An event on its way to the log; ordered by when it is appended, then by when it was told."""

    log_at: int
    number: int
    at: int
    event: dict[str, Any]
    copy: bool
    """A second telling (a duplicate, a copy, a conflict): never doubled again."""


class Story:
    """Collects events in any order and hands them out in the order of the log.

    Exactly `limit` events are told; whoever tells more is not heard.
    """

    def __init__(self, rng: random.Random, seed: int, limit: int, start: int, end: int, faults: Faults) -> None:
        self.rng = rng
        self.seed = seed
        self.limit = limit
        self.start = start
        self.end = end
        self.faults = faults
        self.faulty = faults != NONE
        self.told = 0
        self._heap: list[Told] = []
        self._number = 0
        self._latest_delay = max(SECOND, min(3 * DAY, (end - start) // 3))

    @property
    def over(self) -> bool:
        """All events have been told."""
        return self.told >= self.limit

    def tell(
        self,
        at: int,
        kind: str,
        subject: str,
        data: dict[str, Any],
        *,
        source: str = BOT,
        log_at: int | None = None,
    ) -> None:
        """An event of type botpulse.<kind>.v1 that happened `at`, appended at `log_at` (else then, faults apart)."""
        if self.told >= self.limit:
            return
        self.told += 1
        self._number += 1
        random_share = self.rng.random
        if at >= self.end:
            at = self.end - 1 - int(random_share() * 60 * SECOND)
        # Most clients send milliseconds; a tenth sends all six digits.
        if self._number % 10:
            at -= at % 1000
        at = max(at, self.start)
        if log_at is None:
            log_at = at
            faults = self.faults
            if faults.late and random_share() < faults.late:
                log_at += int(random_share() ** 2 * self._latest_delay)
            elif faults.reorder and random_share() < faults.reorder:
                log_at += int(random_share() * 120 * SECOND)
        event = {
            "specversion": "1.0",
            "id": f"{self.seed}-{self._number:x}",
            "source": source,
            "type": f"botpulse.{kind}.v1",
            "subject": subject,
            "time": text(at),
            "datacontenttype": "application/json",
            "data": data,
        }
        heapq.heappush(self._heap, Told(log_at, self._number, at, event, False))

    def again(self, told: Told, event: dict[str, Any], log_at: int) -> None:
        """The second telling of a fact, or of the very same event."""
        self._number += 1
        heapq.heappush(self._heap, Told(log_at, self._number, told.at, event, True))

    def fresh_id(self) -> str:
        """An event id that no other event of this story has."""
        self._number += 1
        return f"{self.seed}-{self._number:x}"

    def delay(self) -> int:
        """How long something very late takes, in microseconds: up to three days, a third of a short story."""
        return int(self.rng.random() * self._latest_delay)

    def follow_up(self, at: int, shortest: int, longest: int) -> int:
        """A moment `shortest` … `longest` after `at`, inside the story."""
        later = at + self.rng.randint(shortest, longest)
        if later >= self.end:
            later = at + int((self.end - at) * self.rng.uniform(0.05, 0.95))
        return later

    def due(self, until: int | None) -> Iterator[Told]:
        """What is appended up to `until` (None: all that is left), in log order."""
        heap = self._heap
        while heap and (until is None or heap[0].log_at <= until):
            yield heapq.heappop(heap)
