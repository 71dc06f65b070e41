"""How a user's message counts go to the database."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from projections.folds.messages import in_bytes

COUNTS = st.dictionaries(st.integers(1, 9), st.lists(st.integers(0, 1000), min_size=3, max_size=3), max_size=5)


@given(COUNTS)
def test_the_bytes_of_all_tables_add_up_to_the_counts(counts: dict[int, list[int]]) -> None:
    found: Counter[tuple[int, int]] = Counter()
    for table in in_bytes(counts):
        assert [user for user, _ in table] == sorted({user for user, _ in table})
        for user, row in table:
            found.update({(user, column): count for column, count in enumerate(row)})
    assert found == Counter({(user, column): count for user, row in counts.items() for column, count in enumerate(row)})


def test_a_usual_batch_is_one_table() -> None:
    assert list(in_bytes({2: [255, 0], 1: [3, 4]})) == [[(1, b"\x03\x04"), (2, b"\xff\x00")]]
