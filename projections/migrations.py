"""Migrations: plain SQL files, applied in order, each once, each in one transaction.

A file is `sql/migrations/NNNN_name.sql`; its first comment says what it does, its scope, and which code may run beside
it. A file that has been applied anywhere is never edited again: its SHA-256 is kept with its version, and a database
that was migrated by another text of it is refused.

There are two scopes. `generation`: tables, views and functions that are folded from the log or read what is; names are
unqualified and belong to the schema first in search_path, so that `build_generation` makes the same objects in another
schema by running the same files. `installation`: what outlives the generations (access.toml, `kept`), by qualified
names. Every file runs as the owner of all objects. Roles, grants and policies are no migrations: see
`projections.access`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final

import asyncpg

from projections import access, sql
from projections.database import SCHEMA, connect
from projections.registry import sync_reference_data
from schemas.errors import BotpulseError, ConfigurationError

LOCK_TIMEOUT: Final = "10s"
"""How long a migration waits for a table that somebody uses, before it gives up and leaves the database as it was."""
TURN_TIMEOUT: Final = "120s"
"""How long a run waits for another run in the same database."""

_FILE = re.compile(r"^(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql$")
_SCOPE = re.compile(r"^-- Scope: (?P<scope>\w+)$", re.MULTILINE)
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class MigrationError(BotpulseError):
    """A migration could not be applied; the database is as it was before it."""


class Scope(StrEnum):
    """What a migration's objects belong to."""

    INSTALLATION = "installation"
    GENERATION = "generation"


@dataclass(frozen=True)
class Migration:
    """One file of the folder."""

    version: int
    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        """The statements, as they stand in the file."""
        return self.path.read_text(encoding="utf-8")

    @property
    def scope(self) -> str | None:
        """What its objects belong to, a value of Scope; None where the file does not say."""
        found = _SCOPE.search(self.text)
        return found["scope"] if found else None

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's bytes, in hexadecimal."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def label(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def find_migrations(folder: Path = sql.MIGRATIONS) -> list[Migration]:
    """Return the folder's migrations in order.

    Raises ValueError for a wrong file name, a gap, a double number, or a file that does not say its scope.
    """
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.match(path.name)
        if match is None:
            raise ValueError(f"{path.name}: a migration is named NNNN_name.sql")
        found.append(Migration(int(match["version"]), match["name"], path))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{folder}: migrations are numbered 0001, 0002 and so on, without a gap")
    for migration in found:
        if migration.scope not in set(Scope):
            raise ValueError(f"{migration.path.name}: its first comment lacks `-- Scope: generation` or `installation`")
    return found


async def migrate(
    database_url: str, progress: Callable[[str], None] | None = None, *, folder: Path = sql.MIGRATIONS
) -> list[str]:
    """Bring a database up to date and return the labels of what was applied, `0001_installation` and so on.

    Does nothing where nothing is missing. A second run at the same time waits for the first. `progress` gets one line
    before each migration.

    Raises ConfigurationError for a database that can't be reached or doesn't fit this code, or a login that may not
    install, MigrationError with the file's name and the database's error for a migration that failed.
    """
    migrations = find_migrations(folder)
    connection = await connect(
        database_url,
        "DATABASE_URL",
        application_name="botpulse-migrate",
        lock_timeout_ms=0,
        command_seconds=None,
        role=None,
    )
    try:
        return await _take_turn(connection, migrations, progress)
    finally:
        await connection.close()


async def _take_turn(
    connection: asyncpg.Connection, migrations: Sequence[Migration], progress: Callable[[str], None] | None
) -> list[str]:
    await connection.execute(f"SET lock_timeout = '{TURN_TIMEOUT}'")
    try:
        await connection.execute(sql.query("migrations", "lock_migrations"))
    except asyncpg.LockNotAvailableError:
        raise MigrationError(
            f"another `botpulse migrate` has been running in this database for {TURN_TIMEOUT}; try again after it"
        ) from None
    await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        await _ensure_roles(connection)
        await connection.execute(f"SET ROLE {access.OWNER}")
        missing = await _missing(connection, migrations)
        for migration in missing:
            if progress is not None:
                progress(f"{migration.label}")
            await _apply(connection, migration)
        # Not migrations: what follows the code's data files, and the settings of a database, which are lost when it is
        # copied or restored under another name.
        async with connection.transaction():
            await sync_reference_data(connection)
            await access.settle(connection, SCHEMA)
        await connection.execute("RESET ROLE")
        await connection.execute(sql.query("migrations", "settle_database"))
        return [migration.label for migration in missing]
    finally:
        if not connection.is_closed():
            await connection.execute(sql.query("migrations", "unlock_migrations"))


async def _ensure_roles(connection: asyncpg.Connection) -> None:
    try:
        async with connection.transaction():
            await connection.execute(sql.ROLES.read_text(encoding="utf-8"))
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(f"DATABASE_URL: {error}") from None


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await _run(connection, migration, SCHEMA)
            await connection.execute(
                sql.query("migrations", "record_migration"), migration.version, migration.name, migration.checksum
            )
    except asyncpg.LockNotAvailableError:
        raise MigrationError(
            f"{migration.path.name}: waited {LOCK_TIMEOUT} for a table that is in use; nothing of it was applied, "
            "try again when long transactions have ended"
        ) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise MigrationError(f"{migration.path.name}: {error}; nothing of it was applied") from error


async def _run(connection: asyncpg.Connection, migration: Migration, schema: str) -> None:
    # What is not of the generation itself is found in the live schema, where the kept tables are.
    path = f"{schema}, {SCHEMA}" if migration.scope == Scope.GENERATION else "pg_catalog"
    await connection.execute(f"SET LOCAL search_path = {path}")
    await connection.execute(migration.text)


async def build_generation(connection: asyncpg.Connection, schema: str, *, folder: Path = sql.MIGRATIONS) -> None:
    """Create a schema with all objects of a generation, its reference data included; to be called in a transaction.

    Its tables have no row level security, no grants and no triggers of ours yet, so that they can be filled at full
    speed by their owner: call `access.settle(connection, schema)` before anybody else may use them. The session must
    act as the owner (`SET ROLE botpulse_owner`), and `search_path` is set to the new schema until the transaction
    ends. Raises MigrationError, with the file's name.
    """
    assert _SCHEMA_NAME.fullmatch(schema), "a schema's name is ours to choose"
    await connection.execute(sql.query("migrations", "create_schema").format(schema=schema))
    for migration in find_migrations(folder):
        if migration.scope == Scope.GENERATION:
            try:
                await _run(connection, migration, schema)
            except asyncpg.PostgresError as error:
                raise MigrationError(f"{migration.path.name} in the schema {schema}: {error}") from error
    await connection.execute(f"SET LOCAL search_path = {schema}, {SCHEMA}")
    await sync_reference_data(connection)


async def _missing(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """Return what the database lacks; raises ConfigurationError for one that this code can't have made."""
    if not await connection.fetchval(sql.query("migrations", "has_migrations")):
        return list(migrations)
    known = {migration.version: migration for migration in migrations}
    applied: set[int] = set()
    for row in await connection.fetch(sql.query("migrations", "applied_migrations")):
        migration = known.get(row["version"])
        if migration is None:
            raise ConfigurationError(
                f"DATABASE_URL: this database has migration {row['version']:04}_{row['name']}, which is newer than "
                "this code; install the version of botpulse that brought it"
            )
        if row["checksum"] != migration.checksum:
            raise ConfigurationError(
                f"DATABASE_URL: this database was migrated by another text of {migration.path.name}; an applied "
                "migration is never edited: restore the file, or start with an empty database"
            )
        applied.add(migration.version)
    return [migration for migration in migrations if migration.version not in applied]


async def check_migrated(connection: asyncpg.Connection, *, folder: Path = sql.MIGRATIONS) -> None:
    """Raise ConfigurationError, saying what to run, unless the database has exactly this code's migrations."""
    migrations = find_migrations(folder)
    missing = await _missing(connection, migrations)
    if not missing:
        return
    if len(missing) == len(migrations):
        raise ConfigurationError("DATABASE_URL: this database has no botpulse tables yet; run `botpulse migrate`")
    names = ", ".join(migration.label for migration in missing)
    raise ConfigurationError(f"DATABASE_URL: this database lacks {names}; run `botpulse migrate`")
