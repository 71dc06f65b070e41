"""What the database itself must hold: one place for each rule, writers side by side, indexes that are found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from projections.access import OWNER
from projections.database import open_connection
from projections.registry import PROJECTIONS, apply, sync_reference_data
from schemas.activity import activity_status
from schemas.limits import ALL_LIMITS
from schemas.tiers import CURRENT_RULES, LOWEST_TIER, RULES_BY_VERSION
from tests.support.folding import arrivals, at, charge, event, message

NOW = datetime.now(UTC)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=OWNER)
    await sync_reference_data(connection)
    yield connection
    await connection.close()


async def test_the_view_and_the_schemas_agree_on_activity(connection: asyncpg.Connection) -> None:
    minute, moments = timedelta(minutes=1), {}
    for days in (0, 7, 30, 400):
        moments[NOW - timedelta(days=days) + minute] = moments[NOW - timedelta(days=days) - minute] = 0
    log = []
    for user, moment in enumerate([m for m in moments if m < NOW], start=1):
        log.append(message(user, moment))
        log.append(event("user.registered", 100 + user, moment))
        log += [message(200 + user, moment), event("user.registered", 200 + user, NOW - minute)]
    log.append(event("message.sent", 999, NOW - minute, kind_="text"))
    await apply(connection, arrivals(log))
    rows = await connection.fetch("SELECT *, now() AS now FROM user_dashboard")
    assert len(rows) == len({e.subject for e in log})
    for row in rows:
        assert row["activity_status"] == activity_status(row["last_active"], row["registered_at"], row["now"])
        assert (row["churn_risk"] == 100) == (row["activity_status"] == "churned")
    assert {row["activity_status"] for row in rows} == {"active", "inactive", "churned"}


async def test_reference_data_follows_the_rules_file(connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO tier_benefits VALUES ('gone', 'x', 1)")
    await connection.execute("UPDATE tier_benefits SET value = value + 1")
    await connection.execute("UPDATE activity_thresholds SET within = '1 day'")
    for _ in range(2):
        await sync_reference_data(connection)
        rows = await connection.fetch("SELECT tier, benefit, value FROM tier_benefits")
        benefits = {(tier.name, name, value) for tier in CURRENT_RULES.tiers for name, value in tier.benefits.items()}
        assert {tuple(row) for row in rows} == benefits
        assert await connection.fetchval("SELECT max(within) FROM activity_thresholds") == timedelta(days=30)


async def test_constraints_admit_what_the_schemas_admit(connection: asyncpg.Connection) -> None:
    definitions = {
        row[0]: row[1] for row in await connection.fetch("SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint")
    }
    for name in ("users_auto_recharge_amount_limits", "auto_recharge_triggers_amount_limits"):
        least, most = map(int, re.findall(r"\d+", definitions[name]))
        assert least == min(limits.auto_recharge_cents_min for limits in ALL_LIMITS)
        assert most == max(limits.auto_recharge_cents_max for limits in ALL_LIMITS)
    for name, most in (
        ("content_items_price_limits", max(limits.content_price_cents_max for limits in ALL_LIMITS)),
        ("content_items_credits_limits", max(limits.credits_max for limits in ALL_LIMITS)),
        ("subscriptions_amount_limits", max(limits.payment_cents_max for limits in ALL_LIMITS)),
    ):
        assert [*map(int, re.findall(r"\d+", definitions[name]))] == [0, most]
    tiers = {tier.name for rules in RULES_BY_VERSION.values() for tier in rules.tiers}
    assert set(re.findall(r"'(\w+)'", definitions["users_current_tier_check"])) == tiers
    await connection.execute("INSERT INTO users (telegram_id) VALUES (1)")
    assert await connection.fetchval("SELECT current_tier FROM users") == LOWEST_TIER


async def test_every_table_and_view_says_what_it_is(connection: asyncpg.Connection) -> None:
    silent = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'botpulse'::regnamespace AND relkind IN ('r', 'v') "
        "AND obj_description(oid, 'pg_class') IS NULL"
    )
    assert [row[0] for row in silent] == []
    tables = {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'botpulse'")}
    assert {table for projection in PROJECTIONS for table in projection.tables} <= tables


async def test_writers_of_different_partitions_never_deadlock(database_url: str) -> None:
    """Each writer has its own users, refers to the other's, and shares the days with it."""

    async def write(first_user: int, rounds: int) -> None:
        connection = await open_connection(database_url, application_name="test", lock_timeout_ms=20_000)
        offset = 0
        try:
            for number in range(rounds):
                users = range(first_user + number * 40, first_user + number * 40 + 40, 2)
                log = []
                for user in users:
                    # The other writer's users have ids of the other parity.
                    log.append(event("user.registered", user, at(days=user % 7), referred_by=(user ^ 1) + 2))
                    log.append(charge(user, at(days=user % 5 + 1), event_id="b"))
                    log.append(message(user, at(days=-(user % 3))))
                earlier = [charge(u, at(days=u % 5), event_id="a") for u in users]
                for events in (reversed(log), earlier):
                    batch = arrivals(events, first_offset=offset, partition=first_user % 2)
                    offset += len(batch)
                    async with connection.transaction():
                        await apply(connection, batch)
        finally:
            await connection.close()

    await asyncio.gather(write(1000, 25), write(1001, 25))
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    try:
        figures = await connection.fetchrow(
            "SELECT sum(new_users), sum(successful_payments), sum(messages_received) FROM daily_metrics"
        )
        assert tuple(map(int, figures)) == (1000, 1000, 1000)
        assert await connection.fetchval("SELECT sum(active_users) FROM daily_metrics") == await connection.fetchval(
            "SELECT count(*) FROM user_days WHERE own_actions > 0"
        )
        assert await connection.fetchval("SELECT count(*) FROM users WHERE registered_at IS NOT NULL") == 1000
    finally:
        await connection.close()


async def test_the_top_spenders_come_from_the_index(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO users (telegram_id, total_spent_cents) SELECT n, n % 1000 FROM generate_series(1, 20000) AS n"
    )
    await connection.execute("ANALYZE users")
    plan = await connection.fetch(
        "EXPLAIN SELECT username, total_spent_dollars, current_tier, activity_status FROM user_dashboard "
        "ORDER BY total_spent_dollars DESC LIMIT 20"
    )
    assert any("idx_users_spending" in row[0] for row in plan)


async def test_a_batch_looks_its_users_up_however_many_there_are(database_url: str) -> None:
    projector = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    try:
        await projector.execute("INSERT INTO users (telegram_id) SELECT * FROM generate_series(1, 20000)")
        await projector.execute("ANALYZE users")
        async with projector.transaction():
            log = [event("user.registered", user, at(0)) for user in range(1, 20_000, 10)]
            await apply(
                projector, arrivals([*log, *(charge(user, at(1), charge_id=str(user)) for user in range(1, 99))])
            )
            scanned = await projector.fetch(
                "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables WHERE seq_tup_read > 1000"
            )
        assert [tuple(row) for row in scanned] == []
    finally:
        await projector.close()
