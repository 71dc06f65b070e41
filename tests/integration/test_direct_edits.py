"""A person's change of a projected table is recorded with who, when, before and after; our own writers are exempt."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from projections.access import matrix
from projections.database import open_connection
from projections.registry import apply
from tests.support.databases import execute, login
from tests.support.folding import arrivals, at, charge, message


@pytest.fixture
async def superuser(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A filled database, written by the projections."""
    projector = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    async with projector.transaction():
        await apply(projector, arrivals([message(1), charge(1, at(1), cents=1500), message(2)]))
    await projector.close()
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "botpulse"})
    yield connection
    await connection.close()


async def edits(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    rows = await connection.fetch("SELECT * FROM botpulse.direct_edits ORDER BY number")
    return [
        {**row, "before": json.loads(row["before"] or "null"), "after": json.loads(row["after"] or "null")}
        for row in rows
    ]


async def test_who_when_before_and_after(database_url: str, superuser: asyncpg.Connection) -> None:
    assert await edits(superuser) == []  # the projections' own rows
    async with login(database_url, "botpulse_admin") as url:
        begin = await superuser.fetchval("SELECT clock_timestamp()")
        await execute(
            url,
            "SET application_name = 'a notebook'; UPDATE botpulse.users SET message_credits = 7 WHERE telegram_id = 1",
            "SET ROLE botpulse_admin; DELETE FROM botpulse.user_sessions WHERE telegram_id = 2",
            "UPDATE botpulse.users SET message_credits = 7 WHERE telegram_id = 1",  # is 7 already
        )
        found = await edits(superuser)
        assert [(edit["table_name"], edit["operation"]) for edit in found] == [
            ("users", "UPDATE"),
            ("user_sessions", "DELETE"),
        ]
        assert {edit["login"] for edit in found} == {urlsplit(url).username}
        assert [edit["acting_as"] for edit in found] == [urlsplit(url).username, "botpulse_admin"]
        assert found[0]["application"] == "a notebook"
        assert begin < found[0]["edited_at"] <= found[1]["edited_at"]
        assert (found[0]["before"]["message_credits"], found[0]["after"]["message_credits"]) == (0, 7)
        assert found[0]["before"]["total_spent_cents"] == found[0]["after"]["total_spent_cents"] == 1500
        assert found[1]["before"]["messages_in_session"] == 1
        assert found[1]["after"] is None


async def test_superusers_and_the_owner_are_people_too(superuser: asyncpg.Connection) -> None:
    await superuser.execute("UPDATE users SET is_blocked = true WHERE telegram_id = 2")
    await superuser.execute("SET ROLE botpulse_owner")
    await superuser.execute("UPDATE users SET is_blocked = false WHERE telegram_id = 2")
    await superuser.execute("TRUNCATE user_sessions")
    found = await edits(superuser)
    assert [(edit["acting_as"], edit["operation"]) for edit in found] == [
        ("botpulse", "UPDATE"),
        ("botpulse_owner", "UPDATE"),
        ("botpulse_owner", "TRUNCATE"),
    ]


async def test_functions_of_the_owner_are_exempt(database_url: str, superuser: asyncpg.Connection) -> None:
    await superuser.execute("SET ROLE botpulse_projector")
    await superuser.execute("UPDATE users SET current_tier = 'vip' WHERE telegram_id = 1")
    await superuser.execute("RESET ROLE")
    async with login(database_url, "botpulse_maintenance") as url:
        await execute(url, "SELECT botpulse.update_user_tier(1)")
    assert await superuser.fetchval("SELECT current_tier FROM users WHERE telegram_id = 1") == "regular"
    assert await edits(superuser) == []


@pytest.mark.parametrize("role", ["botpulse_admin", "botpulse_analyst", "botpulse_projector", "botpulse_auditor"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO botpulse.direct_edits (edited_at, login, acting_as, application, table_name, operation)"
        " VALUES (now(), 'x', 'x', 'x', 'users', 'UPDATE')",
        "UPDATE botpulse.direct_edits SET login = 'x'",
        "DELETE FROM botpulse.direct_edits",
        "TRUNCATE botpulse.direct_edits",
        "SELECT botpulse.record_direct_edit()",
        "ALTER TABLE botpulse.users DISABLE TRIGGER direct_edit",
        "SET session_replication_role = replica",
    ],
)
async def test_the_record_can_be_neither_forged_nor_evaded(
    superuser: asyncpg.Connection, role: str, statement: str
) -> None:
    await superuser.execute(f"SET SESSION AUTHORIZATION {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await superuser.execute(statement)


async def test_an_admin_is_recorded_whatever_is_set(database_url: str, superuser: asyncpg.Connection) -> None:
    async with login(database_url, "botpulse_admin", "botpulse_analyst") as url:
        connection = await asyncpg.connect(url)
        try:
            for role in ("botpulse_projector", "botpulse_owner"):
                with pytest.raises(asyncpg.PostgresError, match="permission denied to set role"):
                    await connection.execute(f"SET ROLE {role}")
            await connection.execute("UPDATE botpulse.users SET message_credits = 1")
        finally:
            await connection.close()
    assert len(await edits(superuser)) == 2


async def test_privileges_aside_the_trigger_keeps_it_append_only(superuser: asyncpg.Connection) -> None:
    await superuser.execute("UPDATE users SET is_blocked = true")
    await superuser.execute("GRANT ALL ON direct_edits TO botpulse_admin")
    async with superuser.transaction():
        await superuser.execute("SET LOCAL ROLE botpulse_admin")
        for statement in ("UPDATE direct_edits SET login = 'x'", "DELETE FROM direct_edits", "TRUNCATE direct_edits"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                async with superuser.transaction():
                    await superuser.execute(statement)
    await superuser.execute("DELETE FROM direct_edits WHERE table_name = 'users'")  # a superuser may
    assert await edits(superuser) == []


async def test_every_projected_table_is_watched_and_no_other(superuser: asyncpg.Connection) -> None:
    watched = {
        row["name"]
        for row in await superuser.fetch(
            "SELECT c.relname AS name FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid"
            " WHERE t.tgname = 'direct_edit' AND t.tgenabled = 'O'"
            " AND c.relnamespace = 'botpulse'::regnamespace AND NOT c.relispartition"
        )
    }
    views = {row["viewname"] for row in await superuser.fetch("SELECT viewname FROM pg_views")}
    assert watched == {
        name for name, entry in matrix().generation.items() if not entry.kind.migrated and name not in views
    }
