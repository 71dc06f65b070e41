"""The publisher's file: SQLite with a write-ahead log, every commit synced to the disk.

All access is on one thread of its own, so that the bot's event loop never waits for a disk. The file belongs to one
process at a time: SQLite holds its lock as long as the store is open.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from ..errors import ConfigurationError

T = TypeVar("T")

_log = logging.getLogger("botpulse.publisher")

VERSIONS: Final = (
    # 1: what waits for Kafka, and what could not be sent.
    """
    CREATE TABLE spool (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        digest BLOB NOT NULL
    );
    CREATE TABLE set_aside (
        position INTEGER PRIMARY KEY,
        reason TEXT NOT NULL,
        key BLOB,
        value BLOB,
        digest BLOB
    );
    """,
    # 2: what adapters remember, and input that can't become events yet.
    """
    CREATE TABLE profiles (
        telegram_id INTEGER PRIMARY KEY,
        profile TEXT NOT NULL
    );
    CREATE TABLE moments (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        update_id INTEGER NOT NULL UNIQUE,
        at TEXT NOT NULL
    );
    CREATE TABLE kept (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        content TEXT NOT NULL,
        reason TEXT NOT NULL,
        since TEXT NOT NULL,
        UNIQUE (kind, name)
    );
    """,
    # 3: what Stripe's webhook has learned.
    """
    CREATE TABLE links (
        name TEXT PRIMARY KEY,
        telegram_id INTEGER NOT NULL
    );
    CREATE TABLE stripe_refunds (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        charge_id TEXT NOT NULL,
        told_as TEXT NOT NULL,
        has_id INTEGER NOT NULL,
        amount_minor INTEGER NOT NULL,
        refund_id TEXT NOT NULL,
        UNIQUE (charge_id, told_as)
    );
    """,
)
"""What makes each version's file from the one before: an older file is brought up to date when it is opened."""


class Store:
    """An open file. `run` takes a function of the connection to the store's thread, in one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, "botpulse-store")
        self._connection: sqlite3.Connection | None = None
        self._closing = threading.Lock()

    async def open(self) -> None:
        """Open or create the file. A damaged one is put aside under another name and reported.

        Raises ConfigurationError when it can't be used: no access, another process has it, or a newer version made it.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns; its changes are on the disk then. Raises sqlite3.Error."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_transaction, work)

    async def row(self, query: str, *parameters: object) -> Any:
        """Return the first row of a query, None without any. Raises sqlite3.Error."""
        return await self.run(lambda connection: connection.execute(query, parameters).fetchone())

    async def rows(self, query: str, *parameters: object) -> list[Any]:
        """Return all rows of a query. Raises sqlite3.Error."""
        return await self.run(lambda connection: connection.execute(query, parameters).fetchall())

    async def write(self, statement: str, *rows: tuple[object, ...]) -> None:
        """Run a statement for each row of parameters. Raises sqlite3.Error."""
        await self.run(lambda connection: connection.executemany(statement, rows))

    async def close(self) -> None:
        """Close the file."""

        def close() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        await asyncio.get_running_loop().run_in_executor(self._thread, close)
        self._thread.shutdown(wait=True)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        assert self._connection is not None
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            return work(self._connection)

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connected()
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from None
        except sqlite3.DatabaseError as error:
            self._put_aside(error)
            try:
                self._connection = self._connected()
            except sqlite3.Error as again:
                raise self._unusable(again) from None
        except OSError as error:
            raise ConfigurationError(f"the spool {self.path} can't be opened: {error.strerror}") from None

    def _unusable(self, error: sqlite3.Error) -> ConfigurationError:
        if "locked" in str(error):
            return ConfigurationError(f"the spool {self.path} is in use by another process: give each one its own")
        return ConfigurationError(f"the spool {self.path} can't be opened: {error}")

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=2.0, isolation_level=None)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)  # noqa: TRY301
            self._bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(VERSIONS):
            raise ConfigurationError(
                f"the spool {self.path} was written by a newer botpulse-events (file version {version}, "
                f"this one reads up to {len(VERSIONS)}): install that version again, it sends what the file holds"
            )
        for number, script in enumerate(VERSIONS[version:], version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
        # The exclusive lock is taken by the first write: even a file that was up to date gets one.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")

    def _put_aside(self, error: sqlite3.Error) -> None:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        for ending in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + ending)
            if part.exists():
                part.rename(aside.with_name(aside.name + ending))
        _log.error("the spool %s is damaged (%s): kept as %s, a new one is begun", self.path, error, aside.name)
