"""How a rebuild divides its work."""

from __future__ import annotations

from projections.checkpoints import Place
from projections.generations.bulk import FEWEST_RECORDS, MOST_RECORDS, available_memory, batch_records, shares

GIB = 1024**3


def test_batches_are_as_long_as_the_free_memory_allows() -> None:
    assert batch_records(0, 1) == batch_records(GIB // 100, 64) == FEWEST_RECORDS
    assert batch_records(64 * GIB, 2) == MOST_RECORDS
    assert FEWEST_RECORDS < batch_records(GIB, 2) < batch_records(GIB, 1) < MOST_RECORDS
    assert available_memory() >= 0


def test_shares_are_about_equally_long_and_none_is_empty() -> None:
    stops = {Place("t", number): size for number, size in enumerate([100, 90, 60, 50, 0])}
    assert sorted(sum(share.values()) for share in shares(stops, 2)) == [150, 150]
    assert [len(share) for share in shares(stops, 9)] == [1] * 5
    assert shares({}, 3) == [{}]


def test_what_is_about_the_same_users_stays_together() -> None:
    stops = {Place(topic, number): size for topic, size in (("a", 50), ("b", 3)) for number in range(4)}
    divided = shares(stops, 3)
    assert [sorted({place.partition for place in share}) for share in divided] == [[0, 3], [1], [2]]
    assert all(len(share) == 2 * len({place.partition for place in share}) for share in divided)
