"""The committable position never passes a batch whose effects are not durable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.transport.positions import Positions


def test_nothing_is_committable_before_the_first_batch_is_finished() -> None:
    positions = Positions()
    positions.fetched(10)
    positions.fetched(20)
    positions.finished(20)
    assert positions.committable is None
    positions.finished(10)
    assert positions.committable == 20
    assert positions.in_flight == 0


def test_gaps_between_and_inside_batches_don_t_matter() -> None:
    positions = Positions()
    positions.fetched(7)
    positions.fetched(1000)
    positions.finished(7)
    assert positions.committable == 7
    positions.finished(1000)
    assert positions.committable == 1000


def test_a_batch_of_an_earlier_assignment_is_ignored() -> None:
    positions = Positions()
    positions.fetched(5)
    positions.finished(3)
    positions.taken(3)
    assert positions.committable is None
    assert not positions.being_processed


def test_only_a_taken_batch_is_being_processed() -> None:
    positions = Positions()
    positions.fetched(5)
    assert not positions.being_processed
    positions.taken(5)
    assert positions.being_processed
    positions.finished(5)
    assert not positions.being_processed


def test_batches_must_follow_each_other() -> None:
    positions = Positions()
    positions.fetched(5)
    with pytest.raises(ValueError, match="does not follow"):
        positions.fetched(5)


@given(st.sets(st.integers(1, 10_000), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_any_order_of_finishing_commits_the_contiguous_prefix(ends: set[int], random: object) -> None:
    ordered = sorted(ends)
    order = list(ordered)
    random.shuffle(order)  # type: ignore[attr-defined]
    positions = Positions()
    for end in ordered:
        positions.fetched(end)
    finished: set[int] = set()
    for end in order:
        positions.finished(end)
        finished.add(end)
        prefix = None
        for candidate in ordered:
            if candidate not in finished:
                break
            prefix = candidate
        assert positions.committable == prefix
