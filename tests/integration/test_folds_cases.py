"""The rules one by one, by hand, and the orders of arrival that have a name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import permutations
from typing import Any

import asyncpg
import pytest

from projections.access import OWNER
from projections.database import open_connection
from projections.registry import apply
from schemas.events import BotEvent
from tests.support.folding import (
    apply_split,
    arrivals,
    at,
    charge,
    event,
    expected,
    facts,
    message,
    refund,
    tables,
    tier_changed,
)
from tests.support.scenarios import scenarios


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=OWNER)
    yield connection
    await connection.close()


def _anonymous(row: dict[str, Any]) -> dict[str, Any]:
    """The row without the event that supplied its fields: sources and ids differ from user to user."""
    return {name: value for name, value in row.items() if name not in ("source", "event_id")}


def _spans(rows: Any) -> list[tuple[Any, Any]]:
    return sorted((start, row["session_end"]) for (_, start), row in rows["user_sessions"].items())


async def one_by_one(connection: asyncpg.Connection, events: list[BotEvent]) -> dict[str, Any]:
    """Apply each event as a batch of its own, compare with the oracle, return the tables."""
    log = arrivals(events)
    await apply_split(connection, log, range(len(log)))
    found = await tables(connection)
    for table, rows in expected(log).items():
        assert found[table] == rows, table
    return found


@pytest.mark.parametrize("name", scenarios(1))
async def test_every_permutation_about_one_charge(connection: asyncpg.Connection, name: str) -> None:
    """Each permutation happens to a user of its own, all at once: a batch has one event of every user."""
    orders = list(permutations(range(6)))
    histories = [scenarios(user)[name] for user in range(1, len(orders) + 1)]
    for step in range(6):
        batch = [history[order[step]] for history, order in zip(histories, orders, strict=True)]
        await apply(connection, arrivals(batch, first_offset=step * len(orders)))
    found = await facts(connection)
    single = expected(arrivals(histories[0]))
    for (user,), row in found["users"].items():
        assert row | {"tier_changed_at": None} == single["users"][1,] | {"tier_changed_at": None}, orders[user - 1]
    for table in ("payment_analytics", "user_sessions", "user_days"):
        rows: dict[int, dict[Any, Any]] = {user: {} for (user,) in found["users"]}
        for (user, *key), row in found[table].items():
            rows[user][tuple(key)] = _anonymous(row)
        wanted = {tuple(key): _anonymous(row) for (_, *key), row in single[table].items()}
        for its_rows in rows.values():
            assert its_rows == wanted
    assert found["daily_metrics"] == {
        day: {name: figure * len(orders) for name, figure in row.items()}
        for day, row in single["daily_metrics"].items()
    }


async def test_a_late_event_joins_two_sessions_over_midnight(connection: asyncpg.Connection) -> None:
    midnight = 12 * 60
    found = await one_by_one(
        connection, [message(1, at(midnight - 25)), message(1, at(midnight + 30)), message(1, at(midnight + 2))]
    )
    assert _spans(found) == [(at(midnight - 25), at(midnight + 30))]
    assert [row["active_users"] for row in found["daily_metrics"].values()] == [1, 1]


async def test_a_charge_that_moves_earlier_leaves_nothing_behind(connection: asyncpg.Connection) -> None:
    found = await one_by_one(
        connection, [charge(1, at(days=3), event_id="late"), charge(1, at(days=1), event_id="early")]
    )
    assert list(found["daily_metrics"]) == [(at(days=1).date(),)]
    assert list(found["user_days"]) == [(1, at(days=1).date())]
    assert found["users"][1,]["last_active"] == at(days=1)
    assert list(found["user_sessions"]) == [(1, at(days=1))]


async def test_a_charge_that_moves_splits_the_session_it_held_together(connection: asyncpg.Connection) -> None:
    found = await one_by_one(
        connection,
        [message(1, at(0)), charge(1, at(25)), message(1, at(50)), event("credits.spent", 1, at(55), credits=2,
         reason="other"), charge(1, at(-600))],
    )  # fmt: skip
    assert _spans(found) == [(at(-600), at(-600)), (at(0), at(0)), (at(50), at(55))]


async def test_moving_and_new_actions_in_one_batch(connection: asyncpg.Connection) -> None:
    log = arrivals(
        [message(1, at(0)), charge(1, at(25)), message(1, at(50)), charge(1, at(20)), message(1, at(26)),
         charge(1, at(-1500)), message(1, at(90))]
    )  # fmt: skip
    await apply_split(connection, log, [3])
    found = await tables(connection)
    assert found == expected(log)


async def test_figures_move_only_once_the_charge_is_known(connection: asyncpg.Connection) -> None:
    lost = event("payment.dispute_closed", 1, at(days=2), provider="stripe", charge_id="c1", dispute_id="d1",
                 outcome="lost")  # fmt: skip
    opened = event("payment.dispute_opened", 1, at(days=1), provider="stripe", charge_id="c1", dispute_id="d1",
                   amount_cents=500)  # fmt: skip
    before = await one_by_one(connection, [refund(1, at(days=1), cents=100), lost, opened])
    days = {day: (row["new_disputes"], row["net_revenue_cents"]) for (day,), row in before["daily_metrics"].items()}
    assert days == {at(days=1).date(): (1, 0)}
    await apply(connection, arrivals([charge(1, at())], first_offset=3))
    rows = await connection.fetch("SELECT net_revenue_cents FROM daily_metrics ORDER BY date")
    assert [row[0] for row in rows] == [500, -100, -400]


async def test_an_original_of_any_size_is_kept_exactly(connection: asyncpg.Connection) -> None:
    minor = 10**40 + 1
    found = await one_by_one(
        connection,
        [
            charge(1, at(), original={"amount_minor": minor, "currency": "XXX"}),
            refund(1, at(1), cents=1, original={"amount_minor": minor - 1, "currency": "XXX"}),
            refund(1, at(2), "r2", cents=1, original={"amount_minor": 1, "currency": "XXX"}),
        ],
    )
    assert found["users"][1,]["total_spent_cents"] == 0


async def test_conflicts_are_counted_and_touch_nothing(connection: asyncpg.Connection) -> None:
    log = arrivals([charge(1, at(), cents=500), charge(1, at(days=-1), cents=900), refund(2), refund(2, cents=1)])
    assert await apply_split(connection, log, [1, 3]) == 2
    found = await tables(connection)
    assert found == expected(log)


async def test_referrers_are_there_before_they_are_seen(connection: asyncpg.Connection) -> None:
    found = await one_by_one(connection, [event("user.registered", 5, at(), referred_by=77, username="u")])
    assert found["users"][77,]["registered_at"] is None
    assert found["users"][5,]["referred_by"] == 77


@pytest.mark.parametrize("cuts", [[], [1]])
async def test_a_referrer_that_an_earlier_registration_replaces_is_there_wherever_a_batch_ends(
    connection: asyncpg.Connection, cuts: list[int]
) -> None:
    log = arrivals(
        [event("user.registered", 5, at(1), referred_by=77), event("user.registered", 5, at(0), referred_by=78)]
    )
    await apply_split(connection, log, cuts)
    found = await tables(connection)
    assert found == expected(log)
    assert {user for (user,) in found["users"]} == {5, 77, 78}


async def test_admins_are_users_and_content_is_none(connection: asyncpg.Connection) -> None:
    found = await one_by_one(connection, [event("admin.action_taken", 42, action="noted", target_telegram_id=43)])
    assert list(found["users"]) == [(42,)]


async def test_tier_changes_are_kept_once_in_the_order_of_the_log(connection: asyncpg.Connection) -> None:
    log = arrivals([tier_changed(8, "b", "regular"), tier_changed(8, "a", "vip"), tier_changed(8, "b", "regular")])
    await apply(connection, log)
    await apply(connection, arrivals([tier_changed(8, "b", "regular")], first_offset=3))
    rows = await connection.fetch("SELECT * FROM tier_history ORDER BY telegram_id, log_offset")
    assert [(row["id"], row["current"], row["changed_at"], row["log_offset"]) for row in rows] == [
        ("b", "regular", at(3), 0),
        ("a", "vip", at(3), 1),
    ]
    assert await connection.fetchval("SELECT caused_by ->> 'source' FROM tier_history LIMIT 1") == "/b"
    assert await connection.fetchval("SELECT current_tier FROM users WHERE telegram_id = 8") == "new"


async def test_dashboards_show_dollars_and_rates(connection: asyncpg.Connection) -> None:
    failed = {"attempt_id": "a1", "provider": "stripe", "method": "card", "amount_cents": 500, "failure_code": "x"}
    await apply(
        connection,
        arrivals([charge(1, at(), cents=1999), refund(1, at(), cents=500), event("payment.failed", 1, at(), **failed),
                  event("payment.failed", 1, at(), **{**failed, "attempt_id": "a2"}), message(1, at(days=1))]),
    )  # fmt: skip
    row = await connection.fetchrow("SELECT * FROM user_dashboard")
    assert (row["total_spent_dollars"], row["current_tier"], row["lifetime_messages"]) == (
        Decimal("14.99"),
        "regular",
        1,
    )
    rows = await connection.fetch("SELECT * FROM revenue_dashboard ORDER BY date")
    first = {name: rows[0][name] for name in ("total_revenue", "net_revenue", "transactions", "failed")}
    assert first == {
        "total_revenue": Decimal("19.99"),
        "net_revenue": Decimal("14.99"),
        "transactions": 3,
        "failed": 2,
    }
    assert [row["success_rate_percent"] for row in rows] == [Decimal("33.33"), None]
