"""`botpulse maintenance run`, and the lines that the guide gives to cron."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta

from deploy.local.places import postgres_home, server_account
from projections.database import open_connection
from projections.registry import apply
from tests.support.cli import botpulse
from tests.support.folding import arrivals, message

NOW = datetime.now(UTC)


async def test_a_day_of_maintenance(database_url: str) -> None:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=None)
    try:
        await apply(connection, arrivals([message(1, NOW - timedelta(days=800 + n)) for n in range(7)]))
        await apply(connection, arrivals([message(1, NOW)], 10))
        await connection.execute("SELECT set_maintenance_setting('cleanup_rows', '3')")
        ran = await botpulse({"DATABASE_URL": database_url}, "maintenance", "run", "--json")
        assert ran.status == 0, ran.err
        done = ran.json
        assert done["repaired_days"] == 0
        assert (done["removed"]["user_sessions"], done["removed"]["hourly_metrics"]) == (7, 7)
        assert {"users", "user_sessions", "checkpoints", "maintenance_settings"} <= set(done["vacuumed"])
        assert await connection.fetchval("SELECT count(*) FROM user_sessions") == 1
        sampled = {row[0] for row in await connection.fetch("SELECT table_name FROM table_sizes")}
        assert sampled == set(done["vacuumed"])
        checks = {row["check"]: row["status"] for row in done["health"]}
        assert (checks["table growth"], checks["retention"]) == ("ok", "ok")

        await connection.execute(
            "INSERT INTO refused_events (topic, partition, log_offset, reason, detail, appended_at)"
            " VALUES ('t', 0, 1, 'database', 'x', now())"
        )
        await connection.execute("UPDATE daily_metrics SET messages_received = 99 WHERE date = $1", NOW.date())
        ran = await botpulse({"DATABASE_URL": database_url}, "maintenance")
        assert ran.status == 1
        assert "days repaired: 1; " in ran.out
        assert "old rows removed: none" in ran.out
        assert "refused events" in ran.out
    finally:
        await connection.close()


async def test_a_database_that_is_not_migrated(empty_database_url: str, template_database: str) -> None:
    """Also where the server has the roles, from another database of it."""
    for arguments in (["maintenance"], ["maintenance", "run", "--json"]):
        ran = await botpulse({"DATABASE_URL": empty_database_url}, *arguments)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err == "botpulse: the database of DATABASE_URL has not been migrated: run `botpulse migrate`\n"


async def test_the_lines_of_cron(database_url: str) -> None:
    psql = postgres_home(server_account()) / "bin" / "psql"
    for function in ("update_daily_metrics", "cleanup_old_data"):
        process = await asyncio.create_subprocess_shell(
            f'"{psql}" $DATABASE_URL -c "SELECT {function}();"',
            env={**os.environ, "DATABASE_URL": database_url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert function in out.decode()
