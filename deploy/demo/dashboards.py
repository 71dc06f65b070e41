"""The guide's first dashboards as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.reading import read_all
from projections import sql
from schemas.topics import Topics

# Dashboard -> (title, [(heading, column)])
_DASHBOARDS: Mapping[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "daily_metrics": (
        "daily_metrics: the last days",
        (
            ("date", "date"),
            ("active", "active_users"),
            ("new", "new_users"),
            ("messages", "messages_received"),
            ("revenue $", "revenue_cents"),
            ("refunds $", "refunded_cents"),
            ("lost $", "dispute_lost_cents"),
            ("net $", "net_revenue_cents"),
        ),
    ),
    "best_customers": (
        "user_dashboard: the best customers",
        (
            ("username", "username"),
            ("spent $", "total_spent_dollars"),
            ("tier", "current_tier"),
            ("activity", "activity_status"),
            ("purchases", "purchase_count"),
            ("messages", "lifetime_messages"),
            ("credits", "message_credits"),
        ),
    ),
    "revenue": (
        "revenue_dashboard: the last days",
        (
            ("date", "date"),
            ("revenue $", "total_revenue"),
            ("net $", "net_revenue"),
            ("transactions", "transactions"),
            ("failed", "failed"),
            ("success %", "success_rate_percent"),
        ),
    ),
    "tiers": ("Tiers", (("tier", "current_tier"), ("users", "users"), ("spent $", "spent_dollars"))),
    "payment_methods": (
        "Payment success by method",
        (
            ("method", "payment_method_type"),
            ("attempts", "attempts"),
            ("successful", "successful"),
            ("success %", "success_rate"),
        ),
    ),
}
_WORDS = frozenset({"date", "username", "current_tier", "activity_status", "payment_method_type", "reason"})

Rows = list[dict[str, Any]]


async def fetch(connection: asyncpg.Connection) -> dict[str, Rows]:
    """The rows of every dashboard, by its name."""
    return {name: [dict(row) for row in await connection.fetch(sql.query("demo", name))] for name in _DASHBOARDS}


async def letters_by_reason(bootstrap_servers: str, topics: Topics) -> dict[str, int]:
    """How many records became dead letters, by reason; a letter that was sent twice counts once."""
    reasons: dict[tuple[bytes | None, ...], str] = {}
    async for record in read_all(bootstrap_servers, topics.dead_letters):
        headers = dict(record.headers)
        identity = tuple(headers.get(name) for name in ("dl-topic", "dl-partition", "dl-offset", "dl-stage"))
        reasons[identity] = headers["dl-reason"].decode()
    counts: dict[str, int] = {}
    for reason in sorted(reasons.values()):
        counts[reason] = counts.get(reason, 0) + 1
    return counts


def show(console: Console, dashboards: Mapping[str, Rows], letters: Mapping[str, int]) -> None:
    """Print them all."""
    for name, (title, columns) in _DASHBOARDS.items():
        _print(console, title, columns, dashboards[name])
    rows = [{"reason": reason, "records": count} for reason, count in letters.items()]
    _print(console, "Dead letters", (("reason", "reason"), ("records", "records")), rows)


def _print(console: Console, title: str, columns: Sequence[tuple[str, str]], rows: Iterable[Mapping[str, Any]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, column in columns:
        table.add_column(heading, justify="left" if column in _WORDS else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_shown(column, row[column]) for _, column in columns))
    with console.capture() as drawn:
        console.print(table)
    # Without the blanks that fill its lines up.
    console.file.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def _shown(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if column == "current_tier":
        return "VIP" if value == "vip" else str(value).capitalize()
    if column.endswith("_cents"):
        return f"{value / 100:,.2f}"
    return str(value) if column in _WORDS else f"{value:,}"
