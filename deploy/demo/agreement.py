"""Whether tables and aggregates say what the simulator's books say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from deploy.reading import read_all
from deploy.simulate.books_days import COLUMNS, HOURLY
from projections import sql
from schemas.topics import Topics

Figures = Mapping[str, Any]

_NOTHING: Figures = {"spent_cents": 0, "purchases": 0, "messages": 0, "credits": 0, "tier": "new"}
_USER_COLUMNS = {
    "spent_cents": "total_spent_cents",
    "purchases": "purchase_count",
    "messages": "lifetime_messages",
    "credits": "message_credits",
    "tier": "current_tier",
}


class Section(NamedTuple):
    """A section of the books that is a table of the same columns; its subjects are the keys, joined by a blank."""

    name: str
    table: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]


SECTIONS: Final = (
    Section(
        "content",
        "content_items",
        ("content_id",),
        (
            "content_type", "title", "price_cents", "price_credits", "first_fact_at", "offers", "views", "unlocks",
            "unique_buyers", "revenue_cents",
        ),
    ),
    Section("triggers", "purchase_triggers", ("event_type",), ("purchases", "revenue_cents")),
    Section("hours", "hourly_metrics", ("hour",), HOURLY),
    Section("patterns", "message_patterns", ("weekday", "hour", "kind"), ("messages",)),
    Section(
        "preferences",
        "communication_preferences",
        ("telegram_id",),
        ("preferred_kind", "preferred_hour", "command_share", "messages"),
    ),
)  # fmt: skip
"""Each has a query of the table's name in `tools.sql`."""


class Difference(NamedTuple):
    """One figure on which two disagree; `place` is a table or a topic, `subject` a user or a day."""

    place: str
    subject: str
    figure: str
    expected: Any
    found: Any


@dataclass
class Agreement:
    """How many users, days and other rows were compared, and every figure that differs."""

    users: int = 0
    days: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    """By the table."""
    differences: list[Difference] = field(default_factory=list)


def compare(
    place: str, expected: Mapping[str, Figures], found: Mapping[str, Figures], nothing: Figures
) -> list[Difference]:
    """Every figure that differs; who is missing on one side must be `nothing` on the other."""
    differences = []
    for subject in sorted({*expected, *found}):
        wanted, is_there = expected.get(subject, nothing), found.get(subject, nothing)
        differences += [
            Difference(place, subject, figure, wanted[figure], is_there.get(figure))
            for figure in nothing
            if wanted[figure] != is_there.get(figure)
        ]
    return differences


async def check(
    report: Mapping[str, Any], connection: asyncpg.Connection, bootstrap_servers: str, topics: Topics
) -> Agreement:
    """Compare the books' report with `users`, `daily_metrics` and the newest aggregate of every user."""
    agreement = Agreement(users=len(report["users"]), days=len(report["days"]))
    agreement.differences += await compare_users(report, connection)
    aggregates = await newest_aggregates(bootstrap_servers, topics)
    agreement.differences += compare(f"topic {topics.user_aggregates.name}", report["users"], aggregates, _NOTHING)
    agreement.differences += await compare_days(report, connection)
    agreement.differences += compare_letters(report["counts"], await _letters_in_table(connection), "dead_letters")
    for section in SECTIONS:
        agreement.rows[section.table] = len(report[section.name])
        agreement.differences += await compare_section(section, report, connection)
    return agreement


async def compare_users(report: Mapping[str, Any], connection: asyncpg.Connection) -> list[Difference]:
    """Every figure of `users` that is not as the books have it."""
    rows = await connection.fetch(sql.query("tools", "users"))
    users = {str(row["telegram_id"]): {figure: row[column] for figure, column in _USER_COLUMNS.items()} for row in rows}
    return compare("table users", report["users"], users, _NOTHING)


async def compare_days(report: Mapping[str, Any], connection: asyncpg.Connection) -> list[Difference]:
    """Every figure of `daily_metrics` that is not as the books have it."""
    days = await connection.fetch(sql.query("tools", "days"))
    found = {row["date"].isoformat(): _numbers(row, COLUMNS) for row in days}
    return compare("table daily_metrics", report["days"], found, dict.fromkeys(COLUMNS, 0))


async def compare_section(
    section: Section, report: Mapping[str, Any], connection: asyncpg.Connection
) -> list[Difference]:
    """Every figure of a table that is not as the books have it."""
    found = {
        " ".join(str(_plain(row[key])) for key in section.keys): {name: _plain(row[name]) for name in section.columns}
        for row in await connection.fetch(sql.query("tools", section.table))
    }
    return compare(f"table {section.table}", report[section.name], found, dict.fromkeys(section.columns))


def _plain(value: Any) -> Any:
    """A value as the books write it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return float(value) if isinstance(value, Decimal) else value


def compare_letters(counts: Mapping[str, Any], letters: Mapping[str, int], place: str) -> list[Difference]:
    """Whether every refused and conflicting record, and no other, has a dead letter; `letters` counts by reason."""
    expected = dict(counts["refused_by_reason"])
    if counts["conflicts"]:
        expected["conflict"] = counts["conflicts"]
    return compare(
        place,
        {reason: {"records": count} for reason, count in expected.items()},
        {reason: {"records": count} for reason, count in letters.items()},
        {"records": 0},
    )


async def _letters_in_table(connection: asyncpg.Connection) -> dict[str, int]:
    rows = await connection.fetch(sql.query("tools", "letters_by_reason"))
    return {row["reason"]: row["records"] for row in rows}


async def newest_aggregates(bootstrap_servers: str, topics: Topics) -> dict[str, Figures]:
    """What streams has folded: the last value of every key on the topic of aggregates."""
    values: dict[bytes, bytes] = {}
    async for record in read_all(bootstrap_servers, topics.user_aggregates):
        if record.value is None:
            values.pop(record.key, None)
        else:
            values[record.key] = record.value
    return {key.decode(): orjson.loads(value) for key, value in values.items()}


def _numbers(row: Mapping[str, Any], columns: Iterable[str]) -> dict[str, int]:
    return {column: int(row[column]) for column in columns}
