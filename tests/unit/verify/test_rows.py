"""Nothing that a projection writes goes unverified without a reason."""

from __future__ import annotations

from projections.registry import PROJECTIONS
from projections.sql import load
from projections.verify.rows import KEYS, NOT_COMPARED, TRAIL_KEYS


def test_every_table_of_every_projection_is_compared_or_has_a_reason() -> None:
    written = {table for projection in PROJECTIONS for table in projection.tables}
    assert written == KEYS.keys() | TRAIL_KEYS.keys() | NOT_COMPARED.keys()
    assert not KEYS.keys() & NOT_COMPARED.keys()
    assert all(NOT_COMPARED.values())


def test_every_compared_table_has_its_statement() -> None:
    assert KEYS.keys() | TRAIL_KEYS.keys() <= load("verify").keys()
