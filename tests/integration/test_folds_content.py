"""Content items: the latest word on each field, everything that users do counted, from whatever partition it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from projections.access import OWNER
from projections.database import open_connection
from projections.registry import apply
from schemas.events import BotEvent
from tests.support.folding import arrivals, at, event


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=OWNER)
    yield connection
    await connection.close()


def unlock(user: int, time: datetime, cents: int, content_id: str = "c-1", paid_with: str = "credits") -> BotEvent:
    members = {"content_id": content_id, "price_cents": cents, "paid_with": paid_with}
    return event("content.unlocked", user, time, **members)


def described(kind: str, time: datetime, **data: Any) -> BotEvent:
    return event(kind, 0, time, **{"content_id": "c-1", "content_type": "video", "price_cents": 499, **data})


async def test_performance_as_of_now(connection: asyncpg.Connection) -> None:
    published = datetime.now(UTC) - timedelta(days=10)
    views = [event("content.viewed", user, published, content_id="c-1") for user in (1, 1, 2, 3)]
    unlocks = [unlock(1, published, 499), unlock(1, published, 499), unlock(2, published, 250, paid_with="free")]
    log = [described("content.published", published, title="Sunset"), *views, *unlocks]
    await apply(connection, arrivals([*log, unlock(2, datetime.now(UTC), 100, "unpublished")]))
    first, other = await connection.fetch("SELECT * FROM content_performance ORDER BY total_revenue DESC")
    assert dict(first) == {
        "content_id": "c-1", "content_type": "video", "title": "Sunset", "price": Decimal("4.99"),
        "price_credits": None, "offers": 0, "views": 4, "unlocks": 3, "unique_buyers": 2,
        "total_revenue": Decimal("12.48"), "purchase_rate_percent": Decimal("75.00"),
        "purchases_per_day": Decimal("0.3000"), "first_fact_at": published,
    }  # fmt: skip
    assert (other["content_type"], other["purchase_rate_percent"], other["purchases_per_day"]) == (None, None, 1)


async def test_an_absent_field_stays_a_null_clears_and_an_old_word_changes_nothing(
    connection: asyncpg.Connection,
) -> None:
    async def item(*events: BotEvent) -> tuple[Any, ...]:
        await apply(connection, arrivals(events))
        row = await connection.fetchrow("SELECT title, price_cents, price_credits FROM content_items")
        return tuple(row)

    assert await item(described("content.published", at(1), title="a", price_credits=5)) == ("a", 499, 5)
    assert await item(described("content.changed", at(0), title="old", price_cents=1)) == ("a", 499, 5)
    assert await item(described("content.changed", at(2), price_cents=2, title="b")) == ("b", 2, 5)
    assert await item(described("content.changed", at(2), title=None, price_cents=3)) == (None, 3, 5)
    # On equal times the later in the log wins, within a batch too.
    first = described("content.changed", at(3), title="c", price_cents=4, price_credits=6)
    second = described("content.changed", at(3), title="d", price_cents=5, price_credits=7)
    assert await item(first, second) == ("d", 5, 7)
    assert await item(first, second, first) == ("c", 4, 6)


async def test_writers_of_several_partitions_add_to_the_same_items(database_url: str) -> None:
    async def write(first_user: int) -> None:
        connection = await open_connection(database_url, application_name="test", lock_timeout_ms=20_000)
        try:
            for number in range(20):
                user = first_user + number % 5
                items = [f"c-{n}" for n in range(12)]
                # Each writer meets the items in another order.
                log = [unlock(user, at(number), 10, i) for i in (items if first_user == 1 else reversed(items))]
                async with connection.transaction():
                    await apply(connection, arrivals(log))
        finally:
            await connection.close()

    await asyncio.gather(write(1), write(101))
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    try:
        rows = await connection.fetch("SELECT DISTINCT unlocks, unique_buyers, revenue_cents FROM content_items")
        assert [tuple(row) for row in rows] == [(40, 10, 400)]
    finally:
        await connection.close()
