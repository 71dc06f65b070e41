"""Subscriptions by their latest words, and the views about users that nothing else tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from itertools import permutations
from typing import Any

import asyncpg
import pytest

from projections.access import OWNER
from projections.database import open_connection
from projections.registry import apply, sync_reference_data
from schemas.events import BotEvent, SubscriptionCancelled
from schemas.tiers import CURRENT_RULES
from tests.support.folding import arrivals, at, charge, event, expected, tables


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=OWNER)
    yield connection
    await connection.close()


def said(kind: str, user: int, minutes: float, **data: Any) -> BotEvent:
    return event(f"subscription.{kind}", user, at(minutes), subscription_id="s", **data)


def cancelled(user: int, minutes: float) -> SubscriptionCancelled:
    return SubscriptionCancelled.model_validate(
        {"id": f"c{user}-{minutes}", "source": "/b", "subject": str(user), "time": at(minutes),
         "data": {"subscription_id": "s", "effective": "now", "expires_at": None}}
    )  # fmt: skip


async def test_any_order_of_a_subscriptions_life_ends_alike(connection: asyncpg.Connection) -> None:
    """Each order happens to a user of its own."""
    orders = list(permutations(range(4)))
    lives = [
        [
            said("started", user, 0, plan="monthly", amount_cents=499, expires_at=at(days=30)),
            said("renewed", user, 10, amount_cents=599, charge_id="c"),
            said("payment_failed", user, 20, plan="yearly"),
            cancelled(user, 30),
        ]
        for user in range(1, len(orders) + 1)
    ]
    log = []
    for step in range(4):
        batch = arrivals([life[order[step]] for life, order in zip(lives, orders, strict=True)], len(log))
        await apply(connection, batch)
        log += batch
    rows = await connection.fetch(
        "SELECT DISTINCT status, plan, amount_cents, charge_id, expires_at, started_at, renewals FROM subscriptions"
    )
    assert [tuple(row) for row in rows] == [("cancelled", "yearly", 599, "c", None, at(0), 1)]
    assert (await tables(connection))["subscriptions"] == expected(log)["subscriptions"]


async def test_on_equal_times_the_later_in_the_log_wins(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals([said("started", 1, 5, plan="a"), said("payment_failed", 1, 5, plan=None)]))
    await apply(connection, arrivals([said("renewed", 1, 5)], first_offset=2))
    row = await connection.fetchrow("SELECT status, plan, renewals FROM subscriptions")
    assert tuple(row) == ("active", None, 1)


async def test_benefits_of_each_users_tier(connection: asyncpg.Connection) -> None:
    await sync_reference_data(connection)
    await apply(connection, arrivals([charge(1, cents=10_000), event("message.sent", 2, kind_="text")]))
    shown = {row["current_tier"]: json.loads(row["benefits"]) for row in await connection.fetch("TABLE user_benefits")}
    benefits = {tier.name: dict(tier.benefits) for tier in CURRENT_RULES.tiers}
    assert shown == {"premium": benefits["premium"], "new": benefits["new"]}


async def test_growth_compares_with_the_month_before_and_no_other(connection: asyncpg.Connection) -> None:
    log = [event("user.registered", user, at(days=days)) for user, days in ((1, 0), (2, 0), (3, 31), (4, 100))]
    log += [charge(1, at(days=0), "a", 200), charge(1, at(days=31), "b", 500)]
    await apply(connection, arrivals(log))
    rows = await connection.fetch("SELECT * FROM monthly_growth ORDER BY month")
    assert [tuple(row) for row in rows] == [
        (date(2026, 3, 1), 2, Decimal("2.00"), Decimal("2.00"), None, None),
        (date(2026, 4, 1), 1, Decimal("5.00"), Decimal("5.00"), Decimal("-50.00"), Decimal("150.00")),
        (date(2026, 6, 1), 1, Decimal("0.00"), Decimal("0.00"), None, None),
    ]
