"""Which faults a seed injects, when, and upon whom. Pure: the same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

SERVICES: Final = ("streams", "projections")
WORKERS: Final = 2
"""Of each service."""

CRASH_POINTS: Final[Mapping[str, Sequence[str]]] = {
    "streams": ("folded", "sent", "changelog", "stored", "acked"),
    "projections": ("before_begin", "after_cas", "after_rows", "before_commit", "after_commit"),
}
FREEZE_POINTS: Final = ("before_begin", "after_cas", "after_rows", "before_commit", "after_commit")

DECK: Final[Mapping[str, int]] = {
    "kill": 11,
    "crash_point": 11,
    "zombie": 6,
    "freeze_point": 3,
    "backend": 7,
    "restart": 4,
    "storm": 2,
    "postgres": 3,
    "broker_pause": 1,
    "broker_kill": 2,
}
"""How many of each kind are among 50 faults. Every 50 are shuffled, so that a short run meets every kind."""

ONE_SERVICE: Final[Mapping[str, str]] = {"freeze_point": "projections", "backend": "projections"}
NO_SERVICE: Final = frozenset({"postgres", "broker_pause", "broker_kill"})


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    `gap_seconds` after the one before began. `service` and `worker` say whom it hits, "" and 0 where that is a server.
    `seconds` is how long it lasts (a pause, an outage) or how long the victim may run before it; `point` and `nth`
    name a moment inside the victim; `companion` gives a zombie a successor of its own beside the other worker.
    """

    number: int
    kind: str
    gap_seconds: float
    service: str = ""
    worker: int = 0
    seconds: float = 0.0
    point: str = ""
    nth: int = 0
    companion: bool = False

    def __str__(self) -> str:
        where = f" {self.service}-{self.worker}" if self.service else ""
        point = f" at {self.point}:{self.nth}" if self.point else ""
        return f"#{self.number} {self.kind}{where}{point} {self.seconds:.1f} s"


def faults(
    seed: int,
    *,
    deck: Mapping[str, int] = DECK,
    services: Sequence[str] = SERVICES,
    mean_gap_seconds: float = 2.0,
    session_seconds: float = 4.0,
) -> Iterator[Fault]:
    """The faults of a seed, without end."""
    rng = random.Random(f"faults {seed}")
    numbers = count(1)
    points = {service: _rounds(rng, CRASH_POINTS[service]) for service in services}
    freezes = _rounds(rng, FREEZE_POINTS)
    while True:
        cards = [kind for kind, number in deck.items() for _ in range(number)]
        rng.shuffle(cards)
        for kind in cards:
            service = ONE_SERVICE.get(kind) or rng.choice(list(services))
            fault = Fault(
                next(numbers),
                kind,
                rng.uniform(0.25, 1.75) * mean_gap_seconds,
                "" if kind in NO_SERVICE else service,
                0 if kind in NO_SERVICE else rng.randrange(WORKERS),
                _seconds(rng, kind, session_seconds),
                nth=rng.choice((1, 1, 2, 3, 5, 8, 13, 21, 34)),
                companion=rng.random() < 0.5,
            )
            if kind == "crash_point":
                fault = replace(fault, point=next(points[service]))
            elif kind == "freeze_point":
                fault = replace(fault, point=next(freezes))
            yield fault


def _seconds(rng: random.Random, kind: str, session: float) -> float:
    match kind:
        case "kill" | "restart":
            return rng.choice((0.0, rng.uniform(0.0, 2.0), rng.uniform(2.0, 6.0)))
        case "zombie" | "freeze_point":
            return session * rng.uniform(1.3, 2.5)
        case "postgres":
            return rng.choice((0.0, rng.uniform(0.2, 3.0), rng.uniform(3.0, 8.0)))
        case "broker_pause":
            return rng.uniform(5.0, 20.0)
        case "broker_kill":
            return rng.choice((0.0, rng.uniform(0.2, 4.0)))
        case "storm":
            return rng.uniform(8.0, 15.0)
        case _:
            return 0.0


def _rounds(rng: random.Random, names: Sequence[str]) -> Iterator[str]:
    """Every name once in a random order, then again."""
    while True:
        yield from rng.sample(list(names), len(names))
