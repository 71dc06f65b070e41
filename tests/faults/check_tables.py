"""The tables against the simulator's books, and against a fresh fold of the same log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import asyncpg

from deploy.demo.agreement import SECTIONS, Difference, compare, compare_section
from deploy.simulate.books_days import COLUMNS
from projections.registry import PROJECTIONS

_USERS: Final = {
    "spent_cents": "total_spent_cents",
    "purchases": "purchase_count",
    "messages": "lifetime_messages",
    "credits": "message_credits",
    "tier": "current_tier",
    "last_active": "last_active",
    "registered_at": "registered_at",
    "referred_by": "referred_by",
    "is_blocked": "is_blocked",
}
_NO_USER: Final = {
    "spent_cents": 0, "purchases": 0, "messages": 0, "credits": 0, "tier": "new", "last_active": None,
    "registered_at": None, "referred_by": None, "is_blocked": False,
}  # fmt: skip
_PAYMENT: Final = (
    "payment_method_type", "settlement_status", "amount_cents", "refunded_cents", "remainder_cents",
    "original_amount_minor", "original_currency", "occurred_at",
)  # fmt: skip
_SESSION: Final = (
    "session_end", "time_spent_seconds", "messages_in_session", "credits_spent", "purchases_in_session",
)  # fmt: skip
BOOKKEEPING: Final = frozenset({"checkpoints", "schema_migrations", "applied_events"})
"""Tables whose rows tell how the log was read, not what it says. `applied_events` is compared by its content."""

Report = Mapping[str, Any]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, Decimal):
        return float(value)
    return value


async def against_books(report: Report, connection: asyncpg.Connection) -> list[Difference]:
    """Every figure of users, days, payments, sessions and the other tables of the books that is not as they have it."""
    differences = []
    rows = await connection.fetch("SELECT * FROM botpulse.users")
    users = {str(row["telegram_id"]): {f: _plain(row[c]) for f, c in _USERS.items()} for row in rows}
    for found in users.values():
        found["referred_by"] = None if found["referred_by"] is None else str(found["referred_by"])
    differences += compare("users", report["users"], users, _NO_USER)

    rows = await connection.fetch("SELECT * FROM botpulse.daily_metrics")
    days = {row["date"].isoformat(): {c: int(row[c]) for c in COLUMNS} for row in rows}
    differences += compare("daily_metrics", report["days"], days, dict.fromkeys(COLUMNS, 0))

    rows = await connection.fetch("SELECT * FROM botpulse.payment_analytics")
    payments = {_payment(row): {c: _plain(row[c]) for c in _PAYMENT} for row in rows}
    expected = {_payment(row): {**row, "occurred_at": row["occurred_at"]} for row in report["payments"]}
    differences += compare("payment_analytics", expected, payments, dict.fromkeys(_PAYMENT))

    rows = await connection.fetch("SELECT * FROM botpulse.user_sessions")
    sessions = {_session(row): {c: _plain(row[c]) for c in _SESSION} for row in rows}
    expected = {_session(row): row for row in report["sessions"]}
    differences += compare("user_sessions", expected, sessions, dict.fromkeys(_SESSION))
    for section in SECTIONS:
        differences += await compare_section(section, report, connection)
    return differences


def _payment(row: Mapping[str, Any]) -> str:
    name = row.get("charge_id") or row.get("attempt_id")
    return f"{row['telegram_id']} {row['provider']} {row['payment_status']} {name}"


def _session(row: Mapping[str, Any]) -> str:
    return f"{row['telegram_id']} {_plain(row['session_start'])}"


async def currencies(report: Report, connection: asyncpg.Connection) -> dict[str, tuple[int, int]]:
    """What was really charged, in minor units a currency: by the books and by the table."""
    expected: dict[str, int] = defaultdict(int)
    for row in report["payments"]:
        if row["original_currency"] is not None and row["payment_status"] == "succeeded":
            expected[row["original_currency"]] += row["original_amount_minor"]
        elif row["payment_status"] == "succeeded":
            expected["USD cents"] += row["amount_cents"]
    rows = await connection.fetch(
        """
        SELECT coalesce(original_currency, 'USD cents') AS currency,
               sum(coalesce(original_amount_minor, amount_cents)) AS minor
        FROM botpulse.payment_analytics WHERE payment_status = 'succeeded' GROUP BY 1
        """
    )
    found = {row["currency"]: int(row["minor"]) for row in rows}
    return {name: (expected.get(name, 0), found.get(name, 0)) for name in sorted({*expected, *found})}


async def against_fresh_fold(live: asyncpg.Connection, fresh: asyncpg.Connection) -> tuple[dict[str, int], list[str]]:
    """Rows a table, and what differs between two databases that were folded from one log."""
    rows: dict[str, int] = {}
    differences: list[str] = []
    tables = [
        row["table_name"]
        for row in await live.fetch(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'botpulse' AND table_type = 'BASE TABLE' ORDER BY 1"
        )
    ]
    registered = {table for projection in PROJECTIONS for table in projection.tables}
    if absent := registered - set(tables):
        differences.append(f"no such tables to compare: {', '.join(sorted(absent))}")
    for table in tables:
        if table in BOOKKEEPING:
            continue
        columns = await _columns(live, table)
        sums = f"SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)::numeric) FROM botpulse.{table} AS t"  # noqa: S608
        here, there = tuple(await live.fetchrow(sums)), tuple(await fresh.fetchrow(sums))
        rows[table] = here[0]
        if here != there:
            differences += await _differing(live, fresh, table, columns)
    digests = """
        SELECT partition, hour, string_agg(digests, ''::bytea ORDER BY first_offset) AS digests
        FROM botpulse.applied_events GROUP BY 1, 2
    """
    remembered, again = [{(r[0], r[1]): r[2] for r in await c.fetch(digests)} for c in (live, fresh)]
    wrong = [place for place in {*remembered, *again} if remembered.get(place) != again.get(place)]
    differences += [f"applied_events: partition {p}, hour {hour} remember other events" for p, hour in wrong[:3]]
    rows["applied_events"] = sum(len(packed) // 16 for packed in remembered.values())
    return rows, differences


async def _columns(connection: asyncpg.Connection, table: str) -> str:
    found = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'botpulse' AND table_name = $1 "
        "ORDER BY ordinal_position",
        table,
    )
    return ", ".join(f't."{row["column_name"]}"' for row in found)


async def _differing(
    live: asyncpg.Connection, fresh: asyncpg.Connection, table: str, columns: str, shown: int = 3
) -> list[str]:
    statement = f"SELECT ROW({columns})::text AS line FROM botpulse.{table} AS t"  # noqa: S608
    here, there = [{row["line"] for row in await c.fetch(statement)} for c in (live, fresh)]
    only_here, only_there = sorted(here - there), sorted(there - here)
    told = [f"{table}: {len(only_here)} rows differ from a fresh fold ({len(here)} rows here, {len(there)} there)"]
    told += [f"{table}, here:  {line[:400]}" for line in only_here[:shown]]
    told += [f"{table}, fresh: {line[:400]}" for line in only_there[:shown]]
    return told


def shortly(differences: Sequence[Difference], shown: int = 4) -> list[str]:
    """The first differences of every place and figure, and how many there are."""
    by_figure: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    for difference in differences:
        by_figure[difference.place, difference.figure].append(difference)
    lines = []
    for (place, figure), found in by_figure.items():
        some = "; ".join(f"{d.subject}: {d.expected!r} expected, {d.found!r} found" for d in found[:shown])
        lines.append(f"{place}.{figure}: {len(found)} differ from the books ({some})")
    return lines
