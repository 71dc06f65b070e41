"""The projections, in the order in which they write, and the fold of a batch through all of them.

To add one: a module in `projections/folds` with `async def apply(connection, work)`, its statements in
`projections/sql/queries`, a migration with its tables, one line in `PROJECTIONS`, a test.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import asyncpg

from projections import retention
from projections.audit import projection as audit
from projections.batch import Applied, Arrival
from projections.folds import (
    content,
    daily_metrics,
    dead_letters,
    hourly_metrics,
    messages,
    purchase_triggers,
    subscriptions,
    tier_history,
    user_days,
    user_sessions,
    users,
)
from projections.folds.actions import Actions
from projections.folds.day_figures import DayFigures
from projections.folds.hour_figures import HourFigures
from projections.folds.journal import Journal
from projections.folds.work import Work, columns
from projections.ledger import store as payments
from projections.ledger.ledger import Ledger
from projections.sql import query
from schemas.activity import ACTIVE_DAYS, INACTIVE_DAYS
from schemas.tiers import CURRENT_RULES


class Projection(NamedTuple):
    """A name, the tables it fills, and its fold: `apply` reads and writes inside the runner's transaction."""

    name: str
    tables: tuple[str, ...]
    apply: Callable[[asyncpg.Connection, Work], Awaitable[None]]


PROJECTIONS: Final = (
    Projection("users", ("users", "user_field_times"), users.apply),
    Projection(
        "payments",
        ("payment_analytics", "payment_refunds", "payment_disputes", "auto_recharge_triggers"),
        payments.apply,
    ),
    Projection("user_sessions", ("user_sessions",), user_sessions.apply),
    Projection("user_offers", ("user_offers",), purchase_triggers.apply_offers),
    Projection("user_days", ("user_days",), user_days.apply),
    Projection("subscriptions", ("subscriptions",), subscriptions.apply),
    Projection("tier_history", ("tier_history",), tier_history.apply),
    Projection("dead_letters", ("dead_letters",), dead_letters.apply),
    Projection("audit", ("audit_log", "audit_chains"), audit.apply),
    Projection("messages", ("user_message_counts", "message_patterns"), messages.apply),
    Projection("content", ("content_items", "content_buyers"), content.apply),
    Projection("purchase_triggers", ("purchase_triggers",), purchase_triggers.apply),
    Projection("hourly_metrics", ("hourly_metrics",), hourly_metrics.apply),
    Projection("daily_metrics", ("daily_metrics",), daily_metrics.apply),
)
"""Users first, for the foreign keys; sessions and offers before days, whose old actions they read; what writers of
several partitions share (patterns, content, figures) last, so that they wait for each other as short as possible."""


async def apply(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Applied:
    """Fold a batch of valid, first-seen events into all tables, inside the caller's open transaction.

    Arrivals of one partition come in the order of the log. Splitting a batch anywhere gives the same rows. Raises
    asyncpg's errors as they are.
    """
    journal = Journal(arrivals)
    days, hours = DayFigures(), HourFigures()
    ledger = Ledger(await payments.load(connection, journal), days, hours)
    ledger.fold(journal)
    horizons = await retention.load(connection)
    work = Work(journal, ledger, Actions(journal, ledger), days, hours, horizons)
    for projection in PROJECTIONS:
        await projection.apply(connection, work)
    return Applied(conflicts=ledger.conflicts)


async def sync_reference_data(connection: asyncpg.Connection) -> None:
    """Bring the tables of reference data in line with the schemas package; to be called with every migration."""
    benefits = [
        (tier.name, benefit, value) for tier in CURRENT_RULES.tiers for benefit, value in sorted(tier.benefits.items())
    ]
    tiers, names, values = (list(column) for column in zip(*benefits, strict=True))
    await connection.execute(query("reference", "write_tier_benefits"), tiers, names, values)
    await connection.execute(query("reference", "drop_tier_benefits"), tiers, names)
    rules = [
        (tier.name, rank, tier.min_purchases, tier.min_spent_cents, CURRENT_RULES.version)
        for rank, tier in enumerate(reversed(CURRENT_RULES.tiers))
    ]
    await connection.execute(query("reference", "drop_tier_rules"), *columns(rules))
    await connection.execute(query("reference", "write_tier_rules"), *columns(rules))
    await connection.execute(
        query("reference", "write_activity_thresholds"),
        ["active", "inactive"],
        [timedelta(days=ACTIVE_DAYS), timedelta(days=INACTIVE_DAYS)],
    )
