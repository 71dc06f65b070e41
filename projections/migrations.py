"""Migrations: plain SQL files, applied in order, each once, each in one transaction.

A file is `sql/migrations/NNNN_name.sql`; its first comment says what it does and which code may run beside it. A file
that has been applied anywhere is never edited again: its SHA-256 is kept with its version, and a database that was
migrated by another text of it is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from projections import sql
from projections.database import connect
from projections.registry import sync_reference_data
from schemas.errors import BotpulseError, ConfigurationError

LOCK_TIMEOUT: Final = "10s"
"""How long a migration waits for a table that somebody uses, before it gives up and leaves the database as it was."""
TURN_TIMEOUT: Final = "120s"
"""How long a run waits for another run in the same database."""

_FILE = re.compile(r"^(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql$")


class MigrationError(BotpulseError):
    """A migration could not be applied; the database is as it was before it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the folder."""

    version: int
    name: str
    path: Path

    @property
    def text(self) -> str:
        """The statements, as they stand in the file."""
        return self.path.read_text(encoding="utf-8")

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's bytes, in hexadecimal."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def label(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def find_migrations(folder: Path = sql.MIGRATIONS) -> list[Migration]:
    """Return the folder's migrations in order; raises ValueError for a wrong file name, a gap or a double number."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.match(path.name)
        if match is None:
            raise ValueError(f"{path.name}: a migration is named NNNN_name.sql")
        found.append(Migration(int(match["version"]), match["name"], path))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{folder}: migrations are numbered 0001, 0002 and so on, without a gap")
    return found


async def migrate(
    database_url: str, progress: Callable[[str], None] | None = None, *, folder: Path = sql.MIGRATIONS
) -> list[str]:
    """Bring a database up to date and return the labels of what was applied, `0001_checkpoints` and so on.

    Does nothing where nothing is missing. A second run at the same time waits for the first. `progress` gets one line
    before each migration.

    Raises ConfigurationError for a database that can't be reached or doesn't fit this code, MigrationError with the
    file's name and the database's error for a migration that failed.
    """
    migrations = find_migrations(folder)
    connection = await connect(
        database_url, "DATABASE_URL", application_name="botpulse-migrate", lock_timeout_ms=0, command_seconds=None
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
        missing = await _missing(connection, migrations)
        for migration in missing:
            if progress is not None:
                progress(f"{migration.label}")
            await _apply(connection, migration)
        # Not migrations: what follows the code's data files, and the settings of a database, which are lost when it is
        # copied or restored under another name.
        async with connection.transaction():
            await sync_reference_data(connection)
        await connection.execute(sql.query("migrations", "settle_database"))
        return [migration.label for migration in missing]
    finally:
        if not connection.is_closed():
            await connection.execute(sql.query("migrations", "unlock_migrations"))


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.text)
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
