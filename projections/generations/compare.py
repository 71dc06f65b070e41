"""Two generations at one position, row by row: which tables differ, in how many rows, the first of them.

Values of personal columns are never shown, only that they differ.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from projections import access
from projections.generations.layout import LIVE
from projections.sql import query

SHOWN: Final = 20
"""Rows listed of each table."""
_NOT_COMPARED: Final = {
    "checkpoints": (
        "epoch", "owner", "backend_pid", "backend_start", "claimed_at", "moved_at", "duplicates", "invalid", "refused",
    ),
    "audit_log": ("before", "after"),
}  # fmt: skip
"""Columns that say who wrote and when, not what; and what a hash in the same row covers.

Whether a record without effect was invalid, refused by the database or repeated depends on the code of its day: once
its copy was redriven, a rebuild that accepts the original counts the copy as the repeated one. How many had an effect,
and which, is compared."""
TRAIL: Final = frozenset({"audit_log", "audit_chains"})
"""Kept outside the generations, and folded by a build all the same; of one user alone there is no chain to compare."""
_HIDDEN: Final = frozenset({"username"})
_APART: Final = ("applied_events", "refused_events")
"""Compared by what they mean: their rows depend on where batches ended."""


_TIMES: Final = (
    "daily_metrics.date", "hourly_metrics.hour", "user_days.date", "user_offers.date", "user_sessions.session_start",
    "payment_analytics.occurred_at", "payment_refunds.occurred_at", "payment_disputes.opened_at",
    "auto_recharge_triggers.triggered_at", "tier_history.changed_at", "dead_letters.appended_at",
    "audit_log.occurred_at",
)  # fmt: skip
"""The tables of which each row is about one time, and the column that has it."""


class Span(NamedTuple):
    """From the first moment on, up to but not including the second; both aware."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One row that differs. `columns` holds (old, new) of every column that does; `event` the event it comes from."""

    kind: str
    """gone (only the old generation has it), new or changed."""
    key: dict[str, Any]
    columns: dict[str, tuple[Any, Any]]
    event: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A table that differs."""

    table: str
    gone: int
    new: int
    changed: int
    rows: list[Row] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many rows differ."""
        return self.gone + self.new + self.changed


@asynccontextmanager
async def snapshot(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction that sees both generations as they are at its beginning, whatever is written meanwhile."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(query("generations", "look_once"))
        yield


async def compare(
    connection: asyncpg.Connection,
    source: str,
    *,
    tables: Sequence[str] = (),
    telegram_id: int | None = None,
    span: Span | None = None,
) -> list[Difference]:
    """Return the tables that differ between the live generation and the one in `source`, as the connection sees them.

    Only `tables`, if there are any; of one user only where `telegram_id` says so; with `span` only rows that are about
    a time in it.
    """
    differences: list[Difference] = []
    apart = _apart(access.matrix().kept.keys() - (TRAIL if telegram_id is None else frozenset()))
    start, end = span or (None, None)
    found = await connection.fetch(
        query("generations", "comparisons"), LIVE, source, apart, _ignored(), telegram_id, _TIMES, start, end
    )
    for table in found:
        if tables and table["name"] not in tables:
            continue
        counts = await connection.fetchrow(table["count_statement"])
        if any(counts.values()):
            rows = await connection.fetch(table["list_statement"].replace("$1", str(SHOWN)))
            shown = [_row(table["name"], table["key_columns"], row) for row in rows]
            differences.append(Difference(table["name"], counts["gone"], counts["new"], counts["changed"], shown))
    if not tables and telegram_id is None and span is None:
        differences += await _digests(connection)
    return differences


async def _digests(connection: asyncpg.Connection) -> list[Difference]:
    digests = await connection.fetch(query("generations", "digests_that_differ"))
    if digests:
        rows = [
            Row("changed", {"partition": row["partition"], "hour": row["hour"].isoformat()},
                {"events": (row["old"], row["new"])}, None)
            for row in digests[:SHOWN]
        ]  # fmt: skip
        return [Difference("applied_events", 0, 0, len(digests), rows)]
    return []


def _apart(kept: Iterable[str]) -> list[str]:
    return [*kept, *_APART]


def _ignored() -> list[str]:
    return [f"{table}.{column}" for table, columns in _NOT_COMPARED.items() for column in columns]


def _row(table: str, key_columns: Sequence[str], row: asyncpg.Record) -> Row:
    old = orjson.loads(row["old"]) if row["old"] else {}
    new = orjson.loads(row["new"]) if row["new"] else {}
    known = new or old
    columns = {}
    if old and new:
        hidden = _hidden(table)
        left_out = _NOT_COMPARED.get(table, ())
        columns = {
            name: ("…", "…") if name in hidden else (old[name], new[name])
            for name in old
            if name in new and old[name] != new[name] and name not in left_out
        }
    event = f"{known['source']} {known['event_id']}" if known.get("source") and known.get("event_id") else None
    if event is None and table == "tier_history":
        event = known["id"]
    return Row(row["kind"], {name: known[name] for name in key_columns}, columns, event)


def _hidden(table: str) -> frozenset[str]:
    entry = access.matrix().entry(table)
    return _HIDDEN if entry is None else entry.personal | _HIDDEN
