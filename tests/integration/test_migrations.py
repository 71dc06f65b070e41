"""Migrations on a real database: once each, whole or not at all, never two runs at a time."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from projections import access, sql
from projections.migrations import MigrationError, build_generation, check_migrated, find_migrations, migrate
from schemas.errors import ConfigurationError
from tests.support.databases import execute, login

LABELS = [migration.label for migration in find_migrations()]
Write = Callable[[str, str], None]


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    copy = tmp_path / "migrations"
    shutil.copytree(sql.MIGRATIONS, copy)
    return copy


def add(folder: Path, text: str, name: str = "test") -> Path:
    path = folder / f"{len(list(folder.iterdir())) + 1:04}_{name}.sql"
    path.write_text(f"-- Scope: generation\n{text}")
    return path


CATALOGUE = """
    SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    ORDER BY 1, 2
"""


async def test_everything_once_and_nothing_the_second_time(
    empty_database_url: str, database: asyncpg.Connection
) -> None:
    seen: list[str] = []
    assert await migrate(empty_database_url, seen.append) == LABELS
    assert seen == LABELS
    before = await database.fetch(CATALOGUE)
    assert await migrate(empty_database_url, seen.append) == []
    assert seen == LABELS
    assert await database.fetch(CATALOGUE) == before
    await check_migrated(database)


async def test_two_at_once(empty_database_url: str, database: asyncpg.Connection) -> None:
    runs = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    assert sorted(runs, key=len) == [[], [], [], LABELS]
    assert await database.fetchval("SELECT count(*) FROM botpulse.schema_migrations") == len(LABELS)


async def test_a_failed_first_migration_leaves_an_empty_database(
    empty_database_url: str, database: asyncpg.Connection, tmp_path: Path
) -> None:
    (tmp_path / "0001_first.sql").write_text(
        "-- Scope: installation\n"
        "CREATE SCHEMA botpulse; CREATE TABLE botpulse.a (b int); INSERT INTO botpulse.a VALUES (1 / 0);"
    )
    with pytest.raises(MigrationError, match=r"0001_first\.sql: division by zero"):
        await migrate(empty_database_url, folder=tmp_path)
    assert await database.fetch(CATALOGUE) == []
    assert not await database.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'botpulse'")


async def test_a_failed_migration_leaves_what_was_there(
    empty_database_url: str, database: asyncpg.Connection, folder: Path
) -> None:
    await migrate(empty_database_url, folder=folder)
    before = await database.fetch(CATALOGUE)
    add(folder, "CREATE TABLE good (a int);\nCREATE TABLE bad (a nosuchtype);")
    with pytest.raises(MigrationError, match="nosuchtype"):
        await migrate(empty_database_url, folder=folder)
    assert await database.fetch(CATALOGUE) == before
    with pytest.raises(ConfigurationError, match="botpulse migrate"):
        await check_migrated(database, folder=folder)


async def test_those_before_the_failed_one_stay_and_the_next_run_goes_on(
    empty_database_url: str, database: asyncpg.Connection, folder: Path
) -> None:
    add(folder, "CREATE TABLE one (a int);", "one")
    broken = add(folder, "CREATE TABLE two (a nosuchtype);", "two")
    with pytest.raises(MigrationError):
        await migrate(empty_database_url, folder=folder)
    broken.write_text("-- Scope: generation\nCREATE TABLE two (a int);")
    assert await migrate(empty_database_url, folder=folder) == [broken.stem]
    await check_migrated(database, folder=folder)


async def test_an_edited_migration_is_refused(
    empty_database_url: str, database: asyncpg.Connection, folder: Path
) -> None:
    await migrate(empty_database_url)
    path = folder / f"{LABELS[0]}.sql"
    path.write_text(path.read_text() + "\n-- a harmless comment\n")
    with pytest.raises(ConfigurationError, match=rf"another text of {LABELS[0]}\.sql"):
        await migrate(empty_database_url, folder=folder)
    with pytest.raises(ConfigurationError, match="another text"):
        await check_migrated(database, folder=folder)


async def test_a_database_of_newer_code_is_refused(empty_database_url: str, database: asyncpg.Connection) -> None:
    await migrate(empty_database_url)
    await database.execute("INSERT INTO botpulse.schema_migrations VALUES (9999, 'future', repeat('0', 64))")
    with pytest.raises(ConfigurationError, match="9999_future, which is newer"):
        await migrate(empty_database_url)


async def test_an_unmigrated_database_is_told_apart(database: asyncpg.Connection) -> None:
    with pytest.raises(ConfigurationError, match="no botpulse tables yet; run `botpulse migrate`"):
        await check_migrated(database)


async def test_a_table_in_use_ends_the_migration_and_not_the_users_of_the_table(
    empty_database_url: str, database: asyncpg.Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.migrations.LOCK_TIMEOUT", "200ms")
    await migrate(empty_database_url, folder=folder)
    add(folder, "ALTER TABLE checkpoints ADD COLUMN more int;")
    async with database.transaction():
        await database.fetch("SELECT * FROM botpulse.checkpoints")
        with pytest.raises(MigrationError, match="waited 200ms for a table that is in use"):
            await migrate(empty_database_url, folder=folder)
    assert len(await migrate(empty_database_url, folder=folder)) == 1


GENERATION = """
    SELECT c.relname AS name, c.relkind::text AS kind
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'i')
        AND c.relname <> ALL ($2::text[])
        AND NOT EXISTS (
            SELECT FROM pg_index AS i
            JOIN pg_class AS t ON t.oid = i.indrelid WHERE i.indexrelid = c.oid AND t.relname = ANY ($2::text[])
        )
    ORDER BY 1
"""


async def test_a_generation_is_built_beside_the_live_one(empty_database_url: str, database: asyncpg.Connection) -> None:
    await migrate(empty_database_url)
    await database.execute("SET ROLE botpulse_owner")
    async with database.transaction():
        await build_generation(database, "botpulse_next")
        await access.settle(database, "botpulse_next")
    kept = list(access.matrix().kept)
    live = await database.fetch(GENERATION, "botpulse", kept)
    assert len(live) > 20
    assert await database.fetch(GENERATION, "botpulse_next", kept) == live
    assert await database.fetchval("SELECT count(*) FROM botpulse_next.tier_benefits") > 0
    # Nothing in it reads or refers to the live one.
    crossing = await database.fetch(
        """
        SELECT d.objid::regclass, d.refobjid::regclass FROM pg_depend AS d
        JOIN pg_rewrite AS r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_class AS v ON v.oid = r.ev_class AND v.relnamespace = 'botpulse_next'::regnamespace
        JOIN pg_class AS t ON t.oid = d.refobjid AND t.relnamespace = 'botpulse'::regnamespace
        WHERE t.relname <> ALL ($1::text[])
        """,
        kept,
    )
    assert crossing == []


async def settings_of(url: str) -> tuple[str, str]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SHOW search_path"), await connection.fetchval("SHOW timezone")
    finally:
        await connection.close()


async def test_in_a_database_of_its_own_names_need_no_schema(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    assert await settings_of(empty_database_url) == ("botpulse, public", "UTC")
    await execute(empty_database_url, "SELECT * FROM users", "SELECT * FROM user_dashboard")


async def test_settings_that_a_copy_lost_come_back(empty_database_url: str, database: asyncpg.Connection) -> None:
    await migrate(empty_database_url)
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"ALTER DATABASE {name} RESET ALL")
    assert await migrate(empty_database_url) == []
    assert await settings_of(empty_database_url) == ("botpulse, public", "UTC")


async def test_a_disk_without_a_moving_head_is_assumed_unless_somebody_knows_better(
    empty_database_url: str, database: asyncpg.Connection
) -> None:
    async def cost() -> str:
        connection = await asyncpg.connect(empty_database_url)
        try:
            return str(await connection.fetchval("SHOW random_page_cost"))
        finally:
            await connection.close()

    await migrate(empty_database_url)
    assert await cost() == "1.1"
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"ALTER DATABASE {name} SET random_page_cost = 2; ALTER DATABASE {name} RESET search_path")
    await migrate(empty_database_url)
    assert await cost() == "2"
    assert await settings_of(empty_database_url) == ("botpulse, public", "UTC")


@pytest.mark.parametrize(
    "theirs", ["CREATE TABLE orders (id int)", "CREATE SCHEMA shop; CREATE VIEW shop.orders AS SELECT 1 AS id"]
)
async def test_beside_other_tables_nothing_of_theirs_changes(
    empty_database_url: str, database: asyncpg.Connection, theirs: str
) -> None:
    before = await settings_of(empty_database_url)
    await database.execute(theirs)
    assert await migrate(empty_database_url) == LABELS
    assert await settings_of(empty_database_url) == before
    assert await database.fetchval("SELECT to_regclass('botpulse.users') IS NOT NULL")


async def test_beside_other_tables_readers_find_ours_and_programs_theirs(
    empty_database_url: str, database: asyncpg.Connection
) -> None:
    await migrate(empty_database_url)  # the roles
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"DROP SCHEMA botpulse CASCADE; ALTER DATABASE {name} RESET ALL")
    await database.execute("CREATE TABLE users (theirs int); GRANT SELECT ON users TO PUBLIC")
    async with (
        login(empty_database_url, "botpulse_analyst") as analyst,
        login(empty_database_url, "botpulse_analyst") as stubborn,
        login(empty_database_url, "botpulse_bot", "botpulse_analyst") as bot,
    ):
        await execute(stubborn, f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET search_path = public")
        await migrate(empty_database_url)
        assert await settings_of(analyst) == ("botpulse, public", "UTC")
        await execute(analyst, "SELECT telegram_id FROM users", "SELECT * FROM user_dashboard")
        assert (await settings_of(stubborn))[0] == "public"
        assert (await settings_of(bot))[0] == '"$user", public'
        await execute(bot, "SELECT theirs FROM users")


@pytest.mark.parametrize("name", ["1_short.sql", "0001-dash.sql", "notes.sql"])
def test_file_names(folder: Path, name: str) -> None:
    (folder / name).write_text("SELECT 1")
    with pytest.raises(ValueError, match="NNNN_name"):
        find_migrations(folder)


def test_a_scope_is_said(folder: Path) -> None:
    add(folder, "SELECT 1").write_text("-- Scope: somewhere\nSELECT 1;")
    with pytest.raises(ValueError, match="lacks `-- Scope"):
        find_migrations(folder)


def test_no_gap_in_the_numbers(folder: Path) -> None:
    (folder / "0099_far.sql").write_text("SELECT 1")
    with pytest.raises(ValueError, match="without a gap"):
        find_migrations(folder)


@pytest.mark.parametrize("migration", find_migrations(), ids=lambda migration: migration.label)
def test_each_says_which_code_may_run_beside_it(migration: object) -> None:
    text = migration.text  # type: ignore[attr-defined]
    header = text.split("\n\n")[0]
    assert all(line.startswith("-- ") for line in header.splitlines())
    assert "-- Beside it: " in header
    if migration.scope == "generation":  # type: ignore[attr-defined]
        statements = [line for line in text.splitlines() if not line.startswith("--")]
        # What outlives the generations may be named, and what stands in quotes is a text or a setting.
        harmless = re.compile(rf"'(?:[^']|'')*'|\bbotpulse\.({'|'.join(access.matrix().kept)})\b")
        named = [line for line in statements if "botpulse." in harmless.sub("", line)]
        assert named == [], "a generation is also built in another schema"
