"""`python -m deploy.catalogue`: write schema.sql and docs/database.md anew from the migrations."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from deploy.catalogue.document import document
from deploy.catalogue.schema_file import schema_file
from deploy.catalogue.server import server
from deploy.console import say
from deploy.local.places import postgres_home, server_account
from projections import sql
from projections.migrations import migrate
from schemas.process.arguments import refuse_arguments

DOCUMENT = Path(__file__).parents[2] / "docs" / "database.md"


async def _document(database_url: str) -> str:
    connection = await asyncpg.connect(database_url)
    try:
        return await document(connection)
    finally:
        await connection.close()


def main() -> None:
    """Write both files."""
    refuse_arguments("python -m deploy.catalogue, without arguments; writes schema.sql and docs/database.md anew")
    with server(postgres_home(server_account())) as running:
        asyncio.run(migrate(running.database_url))
        sql.SCHEMA.write_text(schema_file(running, running.database_url), encoding="utf-8")
        DOCUMENT.write_text(asyncio.run(_document(running.database_url)), encoding="utf-8")
    say(f"wrote {sql.SCHEMA} and {DOCUMENT}")


if __name__ == "__main__":
    main()
