"""What is not kept for ever: rows from before a table's horizon count as removed, there or not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from projections.verify.rows import KEYS, Key, Row

HORIZON_OF: Final = {"user_sessions": "session_start", "hourly_metrics": "hour", "dead_letters": "appended_at"}
"""The tables of which old rows are removed, and the column that says how old a row is."""

Horizons = Mapping[str, datetime]
"""From when on rows are kept, by table; a table of which nothing was ever removed is missing."""


def kept(table: str, rows: Mapping[Key, Row], horizons: Horizons) -> dict[Key, Row]:
    """Return the rows that are not older than the table's horizon."""
    horizon = horizons.get(table)
    if horizon is None or table not in HORIZON_OF:
        return dict(rows)
    column, keys = HORIZON_OF[table], KEYS[table]
    if column in keys:
        return {key: row for key, row in rows.items() if key[keys.index(column)] >= horizon}
    return {key: row for key, row in rows.items() if row[column] >= horizon}
