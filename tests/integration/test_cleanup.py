"""cleanup_old_data: old rows go, totals stay, nothing comes back, whoever runs it beside whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import checkpoints
from projections.checkpoints import Move, Place
from projections.database import open_connection
from projections.registry import apply
from schemas.events import BotEvent
from tests.support.folding import DAY, apply_split, arrivals, at, charge, event, message, tables
from tests.support.histories import histories
from tests.support.polling import until

HORIZON = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
"""The midnight before the noon on which the tests' events begin."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(url, application_name="test", lock_timeout_ms=20_000, role=None)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(database_url) as connection:
        yield connection


async def keep_from_horizon(connection: asyncpg.Connection, *, rows: int = 200_000) -> None:
    """Set retention so that sessions from HORIZON on are kept."""
    days = (datetime.now(UTC).date() - HORIZON.date()).days
    await setting(connection, "user_sessions_keep_days", str(days))
    await setting(connection, "hourly_metrics_keep_days", str(days))
    await setting(connection, "cleanup_rows", str(rows))


async def setting(connection: asyncpg.Connection, name: str, value: str | None) -> str:
    return str(await connection.fetchval("SELECT set_maintenance_setting($1, $2)", name, value))


async def cleanup(connection: asyncpg.Connection) -> dict[str, tuple[Any, ...]]:
    """Clean up as maintenance may."""
    await connection.execute("SET ROLE botpulse_maintenance")
    rows = await connection.fetch("SELECT * FROM cleanup_old_data()")
    await connection.execute("RESET ROLE")
    return {row[0]: tuple(row)[1:] for row in rows}


def visits(user: int, hours: Sequence[float]) -> list[BotEvent]:
    """A message at each of these hours after HORIZON, and another ten minutes later."""
    return [message(user, HORIZON + timedelta(hours=hour, minutes=minutes)) for hour in hours for minutes in (0, 10)]


async def test_old_rows_go_and_totals_stay(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals([*visits(1, [-50, -2, 3]), *visits(2, [-1, -0.1]), charge(2, at(days=-2))]))
    before = await tables(connection)
    await keep_from_horizon(connection)
    assert (await cleanup(connection))["user_sessions"] == (4, HORIZON, True)
    after = await tables(connection)
    # One session of user 2 reached across: it begins at its first action that is kept.
    del after["user_sessions"]
    assert [
        tuple(row)
        for row in await connection.fetch(
            "SELECT telegram_id, session_start, session_end FROM user_sessions ORDER BY 1"
        )
    ] == [
        (1, HORIZON + timedelta(hours=3), HORIZON + timedelta(hours=3, minutes=10)),
        (2, HORIZON + timedelta(minutes=4), HORIZON + timedelta(minutes=4)),
    ]
    del before["user_sessions"]
    hours = before.pop("hourly_metrics")
    assert after.pop("hourly_metrics") == {key: row for key, row in hours.items() if key[0] >= HORIZON}
    assert after == before
    assert (await cleanup(connection))["user_sessions"] == (0, HORIZON, True)
    removed = await connection.fetchval(
        "SELECT removed_rows FROM retention_horizons WHERE table_name = 'user_sessions'"
    )
    assert removed == 4
    days = await connection.fetchval("SELECT sum(update_daily_metrics(date)) FROM daily_metrics")
    tiers = await connection.fetch("SELECT update_user_tier(telegram_id) = current_tier FROM users")
    assert (days, [row[0] for row in tiers]) == (0, [True, True])
    analysed = await connection.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'user_sessions'")
    assert analysed == 2


async def test_by_default_only_very_old_rows_go(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals([message(1, datetime.now(UTC) - timedelta(days=days)) for days in (0, 700, 800)]))
    assert (await cleanup(connection))["user_sessions"][0] == 1
    await setting(connection, "user_sessions_keep_days", "forever")
    await apply(connection, arrivals([message(1, datetime.now(UTC) - timedelta(days=days)) for days in (600, 900)]))
    assert (await cleanup(connection))["user_sessions"][0] == 0
    assert await connection.fetchval("SELECT count(*) FROM user_sessions") == 3
    assert await connection.fetchval("SELECT lifetime_messages FROM users") == 5


async def test_a_call_removes_so_many_rows_at_most(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals([*visits(1, range(-40, 3)), *visits(2, [-0.4])]))
    await keep_from_horizon(connection, rows=25)
    assert (await cleanup(connection))["user_sessions"] == (25, HORIZON, False)
    # What is left behind the horizon counts as removed: a late action joins none of it.
    joining = HORIZON + timedelta(minutes=5)
    await apply(connection, arrivals([message(1, HORIZON - timedelta(hours=1, minutes=20)), message(2, joining)], 100))
    assert (await cleanup(connection))["user_sessions"] == (16, HORIZON, True)
    assert await connection.fetchval("SELECT count(*) FROM user_sessions") == 4
    assert await connection.fetchval("SELECT session_start FROM user_sessions WHERE telegram_id = 2") == joining


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=histories(
        kinds=("message.received", "credits.spent", "payment.succeeded", "payment.succeeded", "content.viewed"),
        users=(1, 2),
        most=20,
        spread=60,
        conflicts=False,
    ),
    cuts=st.lists(st.integers(0, 20), min_size=1, max_size=3),
)
async def test_whenever_it_runs_the_rows_are_those_of_a_rebuild_with_its_horizon(
    connection: asyncpg.Connection, events: list[BotEvent], cuts: list[int]
) -> None:
    log = arrivals(events)

    async def undone(known_before: bool) -> dict[str, Any]:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await keep_from_horizon(connection)
            if known_before:
                await cleanup(connection)
            await apply_split(connection, log[: cuts[0]], cuts[1:])
            await cleanup(connection)
            await apply_split(connection, log[cuts[0] :], cuts[1:])
            last = await cleanup(connection)
            assert last["user_sessions"] == last["hourly_metrics"] == (0, HORIZON, True)
            return await tables(connection)
        finally:
            await transaction.rollback()

    live, rebuilt = await undone(False), await undone(True)
    assert live == rebuilt
    transaction = connection.transaction()
    await transaction.start()
    try:
        await apply_split(connection, log)
        everything = await tables(connection)
    finally:
        await transaction.rollback()
    late = [(key, row) for key, row in everything.pop("user_sessions").items() if key[1] >= HORIZON]
    kept, hours = live.pop("user_sessions"), live.pop("hourly_metrics")
    every_hour = everything.pop("hourly_metrics")
    assert hours == {key: row for key, row in every_hour.items() if key[0] >= HORIZON}
    assert all(kept.get(key) == row for key, row in late)
    assert all(key[1] >= HORIZON for key in kept)
    assert live == everything


async def test_two_at_once(connection: asyncpg.Connection, database_url: str) -> None:
    await apply(connection, arrivals(visits(1, range(-10, 0))))
    await keep_from_horizon(connection)
    said: list[str] = []
    connection.add_log_listener(lambda _, notice: said.append(notice.message))
    async with connected(database_url) as other, other.transaction():
        assert (await cleanup(other))["user_sessions"][0] == 10
        assert await cleanup(connection) == {}
    assert said == ["another cleanup is running; this one removes nothing"]
    assert (await cleanup(connection))["user_sessions"][0] == 0


async def test_the_horizon_moves_between_two_batches(connection: asyncpg.Connection, database_url: str) -> None:
    await keep_from_horizon(connection)
    backend = connection.get_server_pid()
    async with connected(database_url) as writer:
        place = Place("bot.events", 0)
        lease = await checkpoints.claim(writer, place, "test")

        async def waits() -> bool:
            return bool(await writer.fetchval("SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted", backend))

        async with writer.transaction():
            await checkpoints.advance(writer, [Move(place, lease.epoch, lease.next_offset, 9, None, None, 9, 0, 0)])
            await apply(writer, arrivals(visits(1, [-2, -0.1])))
            cleaning = asyncio.create_task(cleanup(connection))
            await until(waits, "the cleanup to wait for the batch")
        assert (await cleaning)["user_sessions"] == (1, HORIZON, True)
    assert await connection.fetchval("SELECT session_start FROM user_sessions") == HORIZON + timedelta(minutes=4)


async def test_a_rebuild_under_way_keeps_the_horizon(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals(visits(1, [-30, -2])))
    await keep_from_horizon(connection)
    await connection.execute("CREATE SCHEMA botpulse_next")
    assert await cleanup(connection) == {}
    await connection.execute("DROP SCHEMA botpulse_next")
    assert (await cleanup(connection))["user_sessions"][0] == 2


async def test_wrong_settings_name_themselves_and_change_nothing(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals(visits(1, [-24 * 900])))
    for wrong in ("abc", "30", "-1", "1.5", "", "99999999999999999999"):
        with pytest.raises(asyncpg.InvalidParameterValueError, match=r"user_sessions_keep_days is .* from 31 to 36500"):
            await setting(connection, "user_sessions_keep_days", wrong)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="cleanup_rows is 'forever'"):
        await setting(connection, "cleanup_rows", "forever")
    with pytest.raises(asyncpg.UndefinedObjectError, match="no maintenance setting 'sessions'"):
        await setting(connection, "sessions", "90")
    assert await setting(connection, "user_sessions_keep_days", "90") == "90"
    assert await setting(connection, "user_sessions_keep_days", None) == "730"
    # Written past the function that checks it.
    await connection.execute("UPDATE maintenance_settings SET value = 'soon' WHERE setting = 'table_sizes_keep_days'")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="table_sizes_keep_days is 'soon'"):
        await cleanup(connection)
    await connection.execute("RESET ROLE")
    assert await connection.fetchval("SELECT count(*) FROM user_sessions") == 1


async def test_whole_partitions_are_dropped(connection: asyncpg.Connection) -> None:
    await connection.execute("SET ROLE botpulse_owner")
    await connection.execute("CREATE TABLE days (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    for first, last in (("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01"), ("2026-03-01", "2026-04-01")):
        await connection.execute(
            f"CREATE TABLE days_{first[5:7]} PARTITION OF days FOR VALUES FROM ('{first}') TO ('{last}')"
        )
    await connection.execute(
        "INSERT INTO days SELECT generate_series('2026-01-01'::timestamptz, '2026-03-31', '1 day')"
    )
    horizon = datetime(2026, 2, 10, tzinfo=UTC)
    assert await connection.fetchval("SELECT remove_rows_before('days', 'at', $1, 5)", horizon) == 31 + 5
    assert await connection.fetchval("SELECT to_regclass('days_01')") is None
    assert await connection.fetchval("SELECT remove_rows_before('days', 'at', $1, 50)", horizon) == 4
    assert await connection.fetchval("SELECT min(at) FROM days") == horizon
    assert await connection.fetchval("SELECT count(*) FROM days") == 90 - 31 - 9


async def test_late_events_of_the_time_before_count_in_totals_alone(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals([charge(1, at(), event_id="b"), event("user.registered", 1, at(-1))]))
    await keep_from_horizon(connection)
    await cleanup(connection)
    # The charge turns out to have happened before the horizon: then so has the user's only, and so latest, own action.
    await apply(connection, arrivals([charge(1, HORIZON - timedelta(days=3), event_id="a")], 10))
    user = await connection.fetchrow("SELECT last_active, total_spent_cents FROM users")
    assert tuple(user) == (HORIZON - timedelta(days=3), 500)
    assert await connection.fetchval("SELECT count(*) FROM user_sessions") == 0
