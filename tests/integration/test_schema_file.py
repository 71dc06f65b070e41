"""schema.sql gives what the migrations give, on every version of Postgres; it and docs/database.md are up to date."""

from __future__ import annotations

import asyncio
import subprocess

import asyncpg
import pytest

from deploy.catalogue.__main__ import DOCUMENT
from deploy.catalogue.document import document
from deploy.catalogue.schema_file import schema_file
from deploy.catalogue.server import Server
from projections import sql
from projections.migrations import migrate
from tests.support.catalogue import catalogue
from tests.support.databases import execute, fresh_database


async def psql(server: Server, url: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [server.program("psql"), url, "--no-psqlrc", "--quiet", "-f", str(sql.SCHEMA)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


async def test_both_ways_give_one_catalogue(any_server: Server) -> None:
    async with fresh_database(any_server.database_url) as one, fresh_database(any_server.database_url) as other:
        await migrate(one)
        done = await psql(any_server, other)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
        expected, found = await catalogue(one), await catalogue(other)
        for kind, rows in expected.items():
            assert found[kind] == rows, kind
        assert len(expected["relations"]) > 20
        assert len(expected["policies"]) > 20
        assert await migrate(other) == []  # the applied versions are known
        assert await catalogue(other) == expected
        # Again it stops and changes nothing.
        done = await psql(any_server, other)
        assert done.returncode == 3
        assert 'schema "botpulse" already exists' in done.stderr
        assert await catalogue(other) == expected


async def test_beside_other_tables_nothing_of_theirs_changes(any_server: Server) -> None:
    async with fresh_database(any_server.database_url) as url:
        await execute(url, "CREATE TABLE users (id int PRIMARY KEY)", "GRANT SELECT ON users TO PUBLIC")
        before = {kind: rows for kind, rows in (await public(url)).items() if kind != "database"}
        done = await psql(any_server, url)
        assert done.returncode == 0, done.stderr
        assert {kind: rows for kind, rows in (await public(url)).items() if kind != "database"} == before
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SHOW search_path") == '"$user", public'
        await connection.close()


async def public(url: str) -> dict[str, list[tuple[object, ...]]]:
    from tests.support.catalogue import QUERIES

    connection = await asyncpg.connect(url)
    try:
        return {
            kind: sorted((tuple(row) for row in await connection.fetch(query, "public")), key=str)
            for kind, query in QUERIES.items()
        }
    finally:
        await connection.close()


@pytest.fixture
async def migrated(own_server: Server) -> str:
    await migrate(own_server.database_url)
    return own_server.database_url


async def test_the_files_are_up_to_date(own_server: Server, migrated: str) -> None:
    assert schema_file(own_server, migrated) == sql.SCHEMA.read_text(), "run `make schema`"
    connection = await asyncpg.connect(migrated)
    try:
        assert await document(connection) == DOCUMENT.read_text(), "run `make schema`"
    finally:
        await connection.close()
