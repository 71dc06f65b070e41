"""`schema.sql`: what the migrations come to, as one file for psql, made with pg_dump from a migrated database."""

from __future__ import annotations

import re
import subprocess
from typing import Final

from deploy.catalogue.server import Server
from projections import sql
from projections.access import OWNER
from projections.database import SCHEMA

_HEAD: Final = r"""-- All of Botpulse's database, for Postgres 15 to 18: psql "$DATABASE_URL" -f schema.sql
--
-- The same as `botpulse migrate` in an empty installation, which goes on from here with later migrations. Written by
-- `make schema`; never edited by hand. Whoever runs it may create roles and schemas (a superuser, or a role with
-- CREATEROLE that owns the database). All or nothing; where the schema botpulse exists it stops and changes nothing.

\set ON_ERROR_STOP on
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('botpulse migrations', 0)); END $$;
"""
_SETTINGS: Final = f"""
SET LOCAL ROLE {OWNER};
SET LOCAL search_path = '';
SET LOCAL check_function_bodies = false;
"""
_LEFT_OUT: Final = re.compile(r"^(SET |SELECT pg_catalog\.(set_config|setval)\(|\\restrict|\\unrestrict|--)")


def schema_file(server: Server, database_url: str) -> str:
    """Return the file's text for a migrated database. The same for the same migrations, whenever it is made."""
    return "\n".join(
        (
            _HEAD,
            sql.ROLES.read_text(encoding="utf-8").rstrip(),
            _SETTINGS,
            _dump(server, database_url, f"--schema={SCHEMA}", "--schema-only"),
            _dump(server, database_url, f"--schema={SCHEMA}", "--data-only", "--column-inserts"),
            "RESET ROLE;",
            sql.query("migrations", "settle_database") + ";",
            "COMMIT;",
            "",
        )
    )


def _dump(server: Server, database_url: str, *options: str) -> str:
    """What pg_dump says, without the settings of its session and what names its version."""
    done = subprocess.run(
        [server.program("pg_dump"), "--dbname", database_url, "--no-owner", *options],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if not _LEFT_OUT.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
