"""admin_monitoring: what happens by the hour, and what was refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from projections.access import OWNER
from projections.batch import Arrival, DeadLetter
from projections.database import open_connection
from projections.registry import apply
from projections.verify.tables import fold
from tests.support.folding import arrivals, at, charge, event, expected, message, refund, tables, tier_changed


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=OWNER)
    yield connection
    await connection.close()


def letter(number: int, minutes: float, *, offset: int, stage: str = "streams", reason: str = "data") -> Arrival:
    """Letter `number` on its topic, appended some minutes after noon, about the record at `offset`."""
    refused = DeadLetter("bot.events", 3, offset, stage, reason, "data.credits")
    return Arrival(refused, "bot.dead-letters", 0, number, at(minutes))


async def monitored(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    rows = await connection.fetch("SELECT * FROM admin_monitoring ORDER BY hour")
    return [{name: value for name, value in row.items() if value} for row in rows]


async def test_everything_by_its_hour(connection: asyncpg.Connection) -> None:
    failed = {"attempt_id": "a", "provider": "stripe", "method": "card", "amount_cents": 5, "failure_code": "x"}
    opened = {"provider": "stripe", "charge_id": "c9", "dispute_id": "d", "amount_cents": 5}
    log = [
        message(1, at(0)),
        message(2, at(59.9)),
        event("message.sent", 2, at(61), kind_="text"),
        charge(1, at(5)),
        charge(1, at(6), cents=900),  # in conflict: no event that is applied
        event("payment.failed", 1, at(5), **failed),
        event("payment.failed", 1, at(5), **{**failed, "attempt_id": "b"}),
        refund(1, at(70)),
        refund(1, at(71), "r2", "unknown"),
        event("payment.dispute_opened", 1, at(72), **opened),
        event("admin.action_taken", 9, at(73), action="noted"),
        event("content.published", 0, at(74), content_id="c", content_type="text", price_cents=0),
        tier_changed(1, "t", "regular", at(75)),
        tier_changed(1, "t", "regular", at(75)),
    ]
    await apply(connection, arrivals(log))
    assert await monitored(connection) == [
        {"hour": at(0), "events": 5, "messages": 2, "payments": 1, "payment_failures": 2,
         "failure_rate_percent": Decimal("66.67")},
        {"hour": at(60), "events": 6, "messages_sent": 1, "refunds": 2, "disputes": 1, "admin_actions": 1,
         "tier_changes": 1},
    ]  # fmt: skip


async def test_facts_that_move_or_fail_leave_nothing_behind(connection: asyncpg.Connection) -> None:
    failure = event("payment.refund_failed", 1, at(200), provider="stripe", charge_id="c1", refund_id="r1")
    for number, step in enumerate((charge(1, at(120)), refund(1, at(125)), charge(1, at(0)), failure)):
        await apply(connection, arrivals([step], first_offset=number))
    assert await monitored(connection) == [
        {"hour": at(0), "events": 1, "payments": 1},
        {"hour": at(120), "events": 2},
        {"hour": at(180), "events": 1},
    ]


async def test_a_letter_counts_once_by_the_brokers_time_of_the_first(connection: asyncpg.Connection) -> None:
    log = [letter(0, 5, offset=7), letter(1, 65, offset=7), letter(2, 66, offset=7, stage="projections")]
    log += [letter(3, 5, offset=8, reason="limit"), letter(4, 300, offset=8, reason="limit")]
    await apply(connection, log[:1])
    await apply(connection, [*log[1:], *log])
    assert await monitored(connection) == [
        {"hour": at(0), "dead_letters": 2},
        {"hour": at(60), "dead_letters": 1},
    ]
    found = await tables(connection)
    rows, _ = fold([*log[:1], *log[1:], *log])
    assert found["dead_letters"] == rows["dead_letters"]
    assert found["hourly_metrics"] == rows["hourly_metrics"]
    assert await connection.fetchval("SELECT count(*) FROM users") == 0


async def test_events_and_letters_in_one_batch(connection: asyncpg.Connection) -> None:
    log = [*arrivals([message(1, at(1)), message(1, at(2))]), letter(0, 3, offset=1)]
    await apply(connection, log)
    found = await tables(connection)
    assert found == expected(log)
    assert list(found["hourly_metrics"]) == [(at(),)]
