"""check_database_health: each check is driven out of ok, and back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg
import pytest

from projections.database import open_connection
from projections.registry import apply
from tests.support.folding import arrivals, charge, event, message
from tests.support.polling import until

NOW = datetime.now(UTC)


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


async def health(connection: asyncpg.Connection, role: str = "botpulse_analyst") -> Mapping[str, tuple[str, str]]:
    """Status and value of each check, as this role is told."""
    await connection.execute(f"SET ROLE {role}")
    rows = await connection.fetch("SELECT * FROM check_database_health()")
    await connection.execute("RESET ROLE")
    for row in rows:
        assert row["status"] in ("ok", "warn", "alert")
        assert row["value"]
        assert row["advice"]
    found = {row["check"]: (row["status"], row["value"]) for row in rows}
    assert len(found) == len(rows)
    return found


async def status(connection: asyncpg.Connection, check: str) -> str:
    return (await health(connection))[check][0]


async def setting(connection: asyncpg.Connection, name: str, value: int | None) -> None:
    await connection.fetchval("SELECT set_maintenance_setting($1, $2)", name, None if value is None else str(value))


async def test_an_empty_database_is_well(connection: asyncpg.Connection) -> None:
    for role in ("botpulse_analyst", "botpulse_maintenance", "botpulse_admin"):
        found = await health(connection, role)
        assert {check for check, (status, _) in found.items() if status != "ok"} == {"table growth"}
    for role in ("botpulse_bot", "botpulse_projector", "botpulse_auditor"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await health(connection, role)
        await connection.execute("RESET ROLE")


class Statements(NamedTuple):
    """What drives a check out of ok, the status that it then has, and what drives it back."""

    check: str
    worse: Sequence[str]
    becomes: str
    better: Sequence[str]


BY_STATEMENTS = [
    Statements(
        "lag of bot.events",
        [
            "INSERT INTO checkpoints (topic, partition, epoch, next_offset, last_offset, record_digest,"
            " last_appended_at, owner, backend_pid, backend_start, claimed_at, moved_at)"
            " VALUES ('bot.events', 0, 1, 9, 8,"
            " decode(repeat('00', 16), 'hex'), now() - interval '5 minutes', 'x', 1, now(), now(), now())"
        ],
        "warn",
        ["UPDATE checkpoints SET last_appended_at = moved_at"],
    ),
    Statements(
        "lag of bot.events",
        ["UPDATE checkpoints SET last_appended_at = moved_at - interval '1 hour'"],
        "alert",
        ["UPDATE checkpoints SET last_appended_at = moved_at"],
    ),
    Statements(
        "lag of bot.events",
        ["UPDATE checkpoints SET moved_at = now() - interval '3 hours'"],
        "warn",
        ["UPDATE checkpoints SET moved_at = now()"],
    ),
    Statements(
        "dead letters",
        [
            "INSERT INTO dead_letters (topic, partition, log_offset, stage, reason, detail, appended_at,"
            " letter_partition, letter_offset)"
            " SELECT 't', 0, n, 'streams', 'data', 'x', now(), 0, n FROM generate_series(1, 3) AS n"
        ],
        "warn",
        ["UPDATE dead_letters SET appended_at = now() - interval '2 days'"],
    ),
    Statements(
        "refused events",
        [
            "INSERT INTO refused_events (topic, partition, log_offset, reason, detail, appended_at)"
            " VALUES ('t', 0, 1, 'database', 'x', now())"
        ],
        "alert",
        ["UPDATE refused_events SET state = 'redriven'"],
    ),
    Statements(
        "direct edits",
        [
            "INSERT INTO direct_edits (edited_at, login, acting_as, application, table_name, operation)"
            " VALUES (now(), 'x', 'x', 'x', 'users', 'TRUNCATE')"
        ],
        "warn",
        ["UPDATE direct_edits SET edited_at = now() - interval '8 days'"],
    ),
    Statements(
        "retention",
        [
            "INSERT INTO users (telegram_id) VALUES (1)",
            "INSERT INTO user_sessions VALUES (1, now() - interval '740 days', now() - interval '740 days',"
            " DEFAULT, 1, 0, 0)",
        ],
        "warn",
        ["SELECT * FROM cleanup_old_data()"],
    ),
    Statements(
        "table growth",
        [
            "INSERT INTO table_sizes SELECT 'users', current_date - 7 * n, 1000000000 / (n + 1)"
            " FROM generate_series(0, 1) AS n"
        ],
        "warn",
        ["UPDATE table_sizes SET bytes = 1000000000"],
    ),
    Statements(
        "table growth",
        ["UPDATE table_sizes SET sampled_on = sampled_on - 10"],
        "warn",
        ["UPDATE table_sizes SET sampled_on = sampled_on + 10"],
    ),
    Statements(
        "materialized views",
        ["CREATE MATERIALIZED VIEW botpulse.totals AS SELECT count(*) FROM botpulse.users WITH NO DATA"],
        "warn",
        ["REFRESH MATERIALIZED VIEW botpulse.totals"],
    ),
]


async def test_what_rows_show(connection: asyncpg.Connection) -> None:
    # Nobody's edits, so that each statement drives its own check alone.
    await connection.execute("SET session_replication_role = replica")
    for check, worse, becomes, better in BY_STATEMENTS:
        for statement in worse:
            await connection.execute(statement)
        assert await status(connection, check) == becomes, check
        for statement in better:
            await connection.execute(statement)
        assert await status(connection, check) == "ok", check


@pytest.mark.parametrize(
    ("check", "settings", "becomes"),
    [
        ("vacuum age", {"freeze_age_warn": 1}, "warn"),
        ("vacuum age", {"freeze_age_alert": 1}, "alert"),
        ("index use", {"unused_index_megabytes": 0}, "warn"),
        ("cache hit rate", {"cache_hit_min_blocks": 0, "cache_hit_warn_percent": 101}, "warn"),
        ("cache hit rate", {"cache_hit_min_blocks": 0, "cache_hit_alert_percent": 101}, "alert"),
    ],
)
async def test_what_thresholds_show(
    connection: asyncpg.Connection, check: str, settings: dict[str, int], becomes: str
) -> None:
    """What takes days to come about: the threshold comes down to what there is instead."""
    await apply(connection, arrivals([charge(), message(2)]))
    assert await status(connection, check) == "ok"
    for name, value in settings.items():
        await setting(connection, name, value)

    async def shows() -> bool:
        return await status(connection, check) == becomes

    await until(shows, f"{check} to be {becomes}")
    for name in settings:
        await setting(connection, name, None)
    assert await status(connection, check) == "ok"


async def test_bloat(connection: asyncpg.Connection) -> None:
    await connection.execute("SET ROLE botpulse_owner")
    await connection.execute("INSERT INTO users (telegram_id) SELECT generate_series(1, 30000)")
    await connection.execute("ALTER TABLE users SET (autovacuum_enabled = off)")
    await connection.execute("DELETE FROM users WHERE telegram_id > 14000")
    await connection.execute("RESET ROLE")

    async def is_alert() -> bool:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return await status(connection, "bloat") == "alert"

    await until(is_alert, "the dead rows to be known")
    await connection.execute("VACUUM users")

    async def is_well() -> bool:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return await status(connection, "bloat") == "ok"

    await until(is_well, "the vacuum to be known")


async def test_long_transactions(connection: asyncpg.Connection, database_url: str) -> None:
    assert await status(connection, "long transactions") == "ok"
    async with connected(database_url) as other, other.transaction():
        await other.execute("SELECT 1")
        await setting(connection, "transaction_warn_seconds", 0)
        assert await status(connection, "long transactions") == "warn"
        await setting(connection, "transaction_alert_seconds", 0)
        assert await status(connection, "long transactions") == "alert"
    assert await status(connection, "long transactions") == "ok"


async def test_replication_slots(connection: asyncpg.Connection) -> None:
    slot = f"test_{secrets.token_hex(4)}"
    await connection.fetchval("SELECT pg_create_physical_replication_slot($1, true)", slot)
    try:
        assert await status(connection, "replication slots") == "warn"
        await setting(connection, "slot_alert_megabytes", 0)
        assert await status(connection, "replication slots") == "alert"
    finally:
        await connection.execute("SELECT pg_drop_replication_slot($1)", slot)
    assert await status(connection, "replication slots") == "ok"


async def test_failed_payments(connection: asyncpg.Connection) -> None:
    def attempts(day: datetime, failed: int, succeeded: int) -> list[object]:
        named = {"provider": "stripe", "method": "card", "amount_cents": 100, "failure_code": "declined"}
        log: list[object] = [
            event("payment.failed", 1, day, attempt_id=f"a{day:%d}-{n}", **named) for n in range(failed)
        ]
        return log + [charge(1, day, f"c{day:%d}-{n}", cents=100) for n in range(succeeded)]

    today = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    await apply(connection, arrivals([*attempts(today - timedelta(days=3), 10, 90), *attempts(today, 2, 18)]))
    assert (await health(connection))["failed payments"] == ("ok", "2 of 20 today, usually 10.0 %")
    more = [event("payment.failed", 1, today, attempt_id=f"more-{n}", provider="stripe", method="card",
                  amount_cents=100, failure_code="expired") for n in range(15)]  # fmt: skip
    await apply(connection, arrivals(more[:7], 500))
    assert await status(connection, "failed payments") == "warn"
    await apply(connection, arrivals(more[7:], 600))
    assert await status(connection, "failed payments") == "alert"
    await apply(connection, arrivals([charge(1, today, f"good-{n}") for n in range(120)], 700))
    assert await status(connection, "failed payments") == "ok"


async def test_paying_users_turned_inactive(connection: asyncpg.Connection) -> None:
    log = []
    for user in range(1, 11):
        log.append(event("user.registered", user, NOW - timedelta(days=60)))
        log.append(charge(user, NOW - timedelta(days=10 if user <= 2 else 1)))
    # Neither who never paid nor who has been away for long is lost this week.
    log += [message(50, NOW - timedelta(days=10)), charge(51, NOW - timedelta(days=20))]
    await apply(connection, arrivals(log))
    found = (await health(connection))["paying users turned inactive"]
    assert found == ("warn", "2 this week, of 10 who were active a week ago")
    await apply(connection, arrivals([message(user, NOW - timedelta(days=1)) for user in (1, 2)], 100))
    assert await status(connection, "paying users turned inactive") == "ok"


async def test_a_charge_of_two_users(connection: asyncpg.Connection) -> None:
    await apply(connection, arrivals([charge(1), charge(2, charge_id="c2"), charge(2, provider="other")]))
    assert await status(connection, "charges of two users") == "ok"
    await apply(connection, arrivals([charge(2)], 10))
    assert (await health(connection))["charges of two users"] == ("alert", "1 charge ids")
