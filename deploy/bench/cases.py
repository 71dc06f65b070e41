"""Which cases `botpulse bench streams` measures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["stock", "none", "full", "known"]

MEANING: dict[State, str] = {
    "stock": "stock Faust with a Table",
    "none": "no state: decoding only",
    "full": "full state, acknowledged",
    "known": "full state, every user known",
}
KEEPING: Final[tuple[State, ...]] = ("full", "known")
"""What keeps the state of all users."""


@dataclass(frozen=True)
class Case:
    """One measurement: what runs, in how many processes, over how many events of how many users."""

    state: State
    users: int
    workers: int
    events: int


def plan(
    *, events: int, users: Sequence[int], workers: Sequence[int], states: Sequence[State], stock_events: int | None
) -> list[Case]:
    """The cases, those of one log together.

    Every number of users is measured with full state and one worker; what compares something else (several workers,
    no state, stock Faust with `stock_events` events, None: without it) is measured on the log of the middle number.
    """
    ordered = sorted(set(users))
    reference = ordered[(len(ordered) - 1) // 2]
    fewest = min(workers)
    cases: list[Case] = []
    for number in ordered:
        if number == reference:
            if stock_events is not None:
                cases.append(Case("stock", number, 1, min(stock_events, events)))
            if "none" in states:
                cases.append(Case("none", number, 1, events))
            if "full" in states:
                cases += [Case("full", number, count, events) for count in sorted(set(workers))]
        elif "full" in states:
            cases.append(Case("full", number, fewest, events))
    return cases


def plan_known(*, events: int, users: Sequence[int], workers: Sequence[int]) -> list[Case]:
    """The cases where the state of every user is there before the first event."""
    return [Case("known", number, count, events) for number in sorted(set(users)) for count in sorted(set(workers))]
