"""Sessions from actions in any order, and from pieces that were merged before."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from projections.folds.actions import Action, Kind
from projections.folds.sessions import Session, merge, of_actions, single
from tests.support.folding import at

HALF_HOUR = timedelta(minutes=30)
actions = st.builds(
    Action,
    st.just(1),
    st.integers(-40, 40).map(lambda steps: at(steps * 10)),
    st.sampled_from([1, 2, 3, 4, 5]),
    st.integers(0, 9),
)


def brute(found: list[Action]) -> list[Session]:
    """Cut the sorted actions wherever a gap is longer than half an hour."""
    ordered = sorted(found, key=lambda action: action.time)
    cuts = [0, *(n for n, (a, b) in enumerate(pairwise(ordered), 1) if b.time - a.time > HALF_HOUR), len(ordered)]
    groups = [ordered[start:end] for start, end in pairwise(cuts)]
    return [
        Session(
            group[0].time,
            group[-1].time,
            sum(action.kind == Kind.MESSAGE for action in group),
            sum(action.amount for action in group if action.kind == Kind.CREDITS),
            sum(action.kind == Kind.PURCHASE for action in group),
        )
        for group in groups
    ]


@given(st.lists(actions, min_size=1, max_size=40))
def test_merging_is_cutting_at_gaps(found: list[Action]) -> None:
    assert merge(map(single, found)) == of_actions(found) == brute(found)


@given(st.lists(st.lists(actions, min_size=1, max_size=8), min_size=1, max_size=6))
def test_merging_in_any_steps_is_merging_at_once(batches: list[list[Action]]) -> None:
    sessions: list[Session] = []
    for batch in batches:
        sessions = merge([*sessions, *map(single, batch)])
    assert sessions == brute([action for batch in batches for action in batch])


def test_a_gap_of_exactly_half_an_hour_is_within_a_session() -> None:
    early, late = Action(1, at(0), Kind.MESSAGE, 0), Action(1, at(30), Kind.MESSAGE, 0)
    later = Action(1, at(60) + timedelta(microseconds=1), Kind.MESSAGE, 0)
    assert [(s.start, s.end) for s in merge(map(single, [later, early, late]))] == [
        (at(0), at(30)),
        (later.time, later.time),
    ]
