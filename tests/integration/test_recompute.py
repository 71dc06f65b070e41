"""update_daily_metrics and update_user_tier: they give what the projections gave, repair what differs, lose nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import checkpoints
from projections.batch import Arrival
from projections.checkpoints import Lease, Move, Place
from projections.database import open_connection
from projections.registry import apply
from schemas.events import BotEvent
from schemas.tiers import CURRENT_RULES, tier_of
from tests.support.filling import fill
from tests.support.folding import DAY, apply_split, arrivals, at, charge, event, message, refund, tables
from tests.support.histories import histories
from tests.support.polling import until

MILLION = 1_000_000
PLACE = Place("bot.events", 0)
FIGURES = (
    "date, active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents,"
    " dispute_lost_cents, successful_payments, failed_payments, auto_recharge_triggers, content_unlocks,"
    " credits_spent, new_disputes"
)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(
        url, application_name="test", lock_timeout_ms=20_000, command_seconds=300, role=None
    )
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(database_url) as connection:
        yield connection


async def recompute(connection: asyncpg.Connection) -> tuple[int, dict[int, str]]:
    """Call both functions for everything there is, as maintenance may; return the repaired days, and the tiers."""
    first, last = await connection.fetchrow("SELECT min(date) - 1, max(date) + 1 FROM daily_metrics")
    repaired = 0
    await connection.execute("SET ROLE botpulse_maintenance")
    if first is not None:
        repaired = await connection.fetchval(
            "SELECT sum(update_daily_metrics(day::date)) FROM generate_series($1::date, $2::date, '1 day') AS day",
            first,
            last,
        )
    tiers = await connection.fetch("SELECT telegram_id, update_user_tier(telegram_id) AS tier FROM users")
    await connection.execute("RESET ROLE")
    return repaired, {row["telegram_id"]: row["tier"] for row in tiers}


async def rows(connection: asyncpg.Connection) -> tuple[list[Any], list[Any]]:
    """The rows that the functions write, each with the transaction that wrote it last."""
    return (
        await connection.fetch("SELECT xmin, * FROM users ORDER BY telegram_id"),
        await connection.fetch("SELECT xmin, * FROM daily_metrics ORDER BY date"),
    )


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=histories(), cuts=st.lists(st.integers(0, 30)))
async def test_nothing_changes_after_any_history(
    connection: asyncpg.Connection, events: list[BotEvent], cuts: list[int]
) -> None:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await apply_split(connection, arrivals(events), cuts)
        before = await rows(connection)
        repaired, tiers = await recompute(connection)
        assert repaired == 0
        assert tiers == {row["telegram_id"]: row["current_tier"] for row in before[0]}
        assert await rows(connection) == before
    finally:
        await transaction.rollback()


async def test_nothing_changes_after_a_million_events(connection: asyncpg.Connection, database_url: str) -> None:
    await fill(database_url, events=MILLION, users=20_000, seed=20260401)
    await connection.execute("ANALYZE")
    counted = await connection.fetchrow(
        "SELECT count(*) AS days, sum(messages_received) AS messages, sum(refunded_cents) AS refunded,"
        " sum(dispute_lost_cents) AS lost, sum(auto_recharge_triggers) AS triggers FROM daily_metrics"
    )
    assert counted["days"] >= 60
    assert counted["messages"] > MILLION / 4
    assert min(counted["refunded"], counted["lost"], counted["triggers"]) > 0
    assert await connection.fetchval("SELECT count(DISTINCT current_tier) FROM users") == len(CURRENT_RULES.tiers)

    before = await rows(connection)
    repaired, tiers = await recompute(connection)
    assert repaired == 0
    assert tiers == {row["telegram_id"]: row["current_tier"] for row in before[0]}
    assert await rows(connection) == before


def history() -> Sequence[Arrival]:
    """Two users, three days, every figure that can differ."""
    dispute = {"provider": "stripe", "charge_id": "c3", "dispute_id": "d"}
    return arrivals(
        [
            event("user.registered", 1, at(-60)),
            message(1),
            charge(1, at(5), cents=4000),
            charge(1, at(6), "c2", cents=3000),
            refund(1, at(days=1), charge_id="c2", cents=1000),
            charge(1, at(7), "c3", cents=2500),
            event("payment.dispute_opened", 1, at(8), amount_cents=2500, **dispute),
            event("payment.dispute_closed", 1, at(days=2), outcome="lost", **dispute),
            message(2, at(days=1)),
        ]
    )  # fmt: skip


async def test_what_differs_is_repaired(connection: asyncpg.Connection) -> None:
    await apply(connection, history())
    before = await tables(connection)
    await connection.execute(
        "UPDATE users SET total_spent_cents = 99, purchase_count = 9, current_tier = 'premium', lifetime_messages = 7"
    )
    await connection.execute("UPDATE daily_metrics SET new_users = new_users + 1, refunded_cents = 0")
    await connection.execute("DELETE FROM daily_metrics WHERE date = $1", at(days=2).date())
    await connection.execute(
        f"INSERT INTO daily_metrics ({FIGURES}) SELECT $1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0",
        at(days=9).date(),
    )
    assert await connection.fetchval("SELECT update_user_tier(1)") == "vip"
    assert await connection.fetchval("SELECT update_user_tier(telegram_id => 2)") == "new"
    for days in (0, 1, 2, 9):
        assert await connection.fetchval("SELECT update_daily_metrics($1)", at(days=days).date()) == 1
        assert await connection.fetchval("SELECT update_daily_metrics($1)", at(days=days).date()) == 0
    after = await tables(connection)
    for row in after["users"].values():
        assert row.pop("lifetime_messages") == 7  # not what decides a tier
    for row in before["users"].values():
        del row["lifetime_messages"]
    assert after == before


async def test_without_a_day_it_is_yesterday_and_today(connection: asyncpg.Connection) -> None:
    now = datetime.now(UTC)
    await apply(connection, arrivals([message(1, now - timedelta(days=days)) for days in range(4)]))
    await connection.execute("UPDATE daily_metrics SET messages_received = 50")
    assert await connection.fetchval("SELECT update_daily_metrics()") == 2
    today = datetime.now(UTC).date()
    found = {row[0]: row[1] for row in await connection.fetch("SELECT date, messages_received FROM daily_metrics")}
    assert found == {today - timedelta(days=days): 1 if days < 2 else 50 for days in range(4)}


async def test_an_unknown_user_is_null_with_a_notice(connection: asyncpg.Connection) -> None:
    said: list[str] = []
    connection.add_log_listener(lambda _, notice: said.append(notice.message))
    for unknown in (404, None, -1):
        assert await connection.fetchval("SELECT update_user_tier($1)", unknown) is None
    assert said == [f"there is no user {unknown}; nothing was changed" for unknown in (404, "null", -1)]
    assert await connection.fetchval("SELECT count(*) FROM users") == 0


async def test_the_thresholds_are_those_of_the_rules(connection: asyncpg.Connection) -> None:
    numbers = {
        edge + step
        for tier in CURRENT_RULES.tiers
        for edge in (tier.min_purchases, tier.min_spent_cents)
        for step in (-1, 0, 1)
        if edge + step >= 0
    }
    for purchases in numbers:
        for cents in numbers:
            found = await connection.fetchval("SELECT tier_of($1, $2)", purchases, cents)
            assert found == tier_of(purchases, cents), (purchases, cents)


@asynccontextmanager
async def batch_under_way(connection: asyncpg.Connection, lease: Lease, log: Sequence[Arrival]) -> AsyncIterator[Lease]:
    """A batch as the runner writes it; committed at the end of the block. Yields the lease of the next one."""
    through = lease.next_offset + len(log)
    async with connection.transaction():
        await checkpoints.advance(
            connection, [Move(PLACE, lease.epoch, lease.next_offset, through, None, None, len(log), 0, 0)]
        )
        await apply(connection, log)
        yield Lease(PLACE, lease.epoch, through, None, None)


@pytest.mark.parametrize(
    ("repairs", "right"),
    [
        ("SELECT update_user_tier(1)", "SELECT total_spent_cents = 4000 + 2000 + 900 FROM users WHERE telegram_id = 1"),
        (
            "SELECT update_daily_metrics('2026-03-01')",
            "SELECT revenue_cents = 4000 + 3000 + 2500 + 900 FROM daily_metrics WHERE date = '2026-03-01'",
        ),
    ],
)
async def test_a_repair_waits_for_the_batch_under_way(
    connection: asyncpg.Connection, database_url: str, repairs: str, right: str
) -> None:
    log = [*history(), *arrivals([charge(1, at(10), "c4", cents=900), message(2, at(11))], 20)]
    async with connected(database_url) as writer:
        lease = await checkpoints.claim(writer, PLACE, "test")
        async with batch_under_way(writer, lease, log[:-2]) as lease:
            pass
        await connection.execute("UPDATE users SET total_spent_cents = total_spent_cents + 10000")
        await connection.execute("UPDATE daily_metrics SET revenue_cents = revenue_cents + 10000")
        backend = connection.get_server_pid()

        async def waits() -> bool:
            return bool(await writer.fetchval("SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted", backend))

        async with batch_under_way(writer, lease, log[-2:]):
            repair = asyncio.create_task(connection.fetchval(repairs))
            await until(waits, "the repair to wait for the batch")
        await repair
        assert await connection.fetchval(right)


async def test_repairs_beside_a_busy_writer_lose_and_double_nothing(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """One connection applies batches, one spoils rows, one repairs them; in the end every row is right."""
    users, rounds = range(1, 6), 60
    done = asyncio.Event()

    async def write() -> None:
        async with connected(database_url) as writer:
            lease = await checkpoints.claim(writer, PLACE, "test")
            for number in range(rounds):
                log = [charge(user, at(number), f"c{number}", cents=100) for user in users]
                log += [refund(user, at(number), f"r{number}", f"c{number - 1}", cents=30) for user in users if number]
                async with batch_under_way(writer, lease, arrivals(log)) as lease:
                    await asyncio.sleep(0)
        done.set()

    async def spoil() -> None:
        async with connected(database_url) as other:
            while not done.is_set():
                await other.execute("UPDATE users SET total_spent_cents = total_spent_cents + 500000")
                await other.execute("UPDATE daily_metrics SET revenue_cents = revenue_cents + 500000")

    async def repair() -> int:
        repaired = 0
        while not done.is_set():
            repaired += await connection.fetchval("SELECT update_daily_metrics($1)", DAY.date())
            for user in users:
                await connection.fetchval("SELECT update_user_tier($1)", user)
        return repaired

    _, _, repaired = await asyncio.gather(write(), spoil(), repair())
    assert repaired > 3
    await recompute(connection)
    for user in users:
        row = await connection.fetchrow("SELECT * FROM users WHERE telegram_id = $1", user)
        assert row["total_spent_cents"] == 70 * (rounds - 1) + 100
        assert (row["purchase_count"], row["current_tier"]) == (rounds, "premium")
    day = await connection.fetchrow("SELECT * FROM daily_metrics WHERE date = $1", DAY.date())
    assert day["revenue_cents"] == 100 * rounds * len(users)
    assert day["refunded_cents"] == 30 * (rounds - 1) * len(users)
    assert isinstance(day["date"], date)
