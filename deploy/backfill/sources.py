"""Where the rows come from: a database, or a folder of CSV or NDJSON files. Always in the order of the facts' key."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import asyncpg

from deploy.backfill.mapping import Facts
from schemas.errors import ConfigurationError

_ROWS_AT_ONCE: Final = 2000

Row = Mapping[str, Any]


class Source(Protocol):
    """Gives the rows of some facts, each time the same ones."""

    async def count(self, facts: Facts) -> int:
        """How many rows there are, before `where`."""
        ...

    def rows(self, facts: Facts, skip: int) -> AsyncIterator[Row]:
        """The rows in the order of their key, without the first `skip`."""
        ...


class Database:
    """A bot's own database, read in one snapshot that nothing disturbs and that writes nothing."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def count(self, facts: Facts) -> int:
        """As Source."""
        try:
            return int(await self._connection.fetchval(f"SELECT count(*) FROM ({self._query(facts)}) AS rows"))  # noqa: S608
        except asyncpg.PostgresError as error:
            raise ConfigurationError(f"{facts.name}: {error}") from None

    async def rows(self, facts: Facts, skip: int) -> AsyncIterator[Row]:
        """As Source."""
        statement = f"SELECT * FROM ({self._query(facts)}) AS rows ORDER BY {_quoted(facts.key)} OFFSET {skip}"  # noqa: S608
        try:
            async for row in self._connection.cursor(statement, prefetch=_ROWS_AT_ONCE):
                yield row
        except asyncpg.PostgresError as error:
            raise ConfigurationError(f"{facts.name}: {error}") from None

    def _query(self, facts: Facts) -> str:
        if facts.query is not None:
            return facts.query.rstrip().rstrip(";")
        if facts.table is None:
            raise ConfigurationError(f"{facts.name}: a file; the mapping names no table or query for it")
        return f"SELECT * FROM {'.'.join(map(_quoted, facts.table.split('.')))}"  # noqa: S608


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Database]:
    """The database of an address. Raises ConfigurationError, without the password, when it can't be reached."""
    try:
        connection = await asyncpg.connect(url, timeout=10.0, server_settings={"application_name": "botpulse-backfill"})
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConfigurationError(f"--from-database: no connection ({type(error).__name__})") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield Database(connection)
    finally:
        await connection.close()


class Files:
    """A folder of files, `csv` with a header line or `ndjson` with an object a line."""

    def __init__(self, folder: Path, ending: str) -> None:
        self._folder = folder
        self._ending = ending
        self._read: tuple[str, list[Row]] | None = None

    async def count(self, facts: Facts) -> int:
        """As Source."""
        return len(self._sorted(facts))

    async def rows(self, facts: Facts, skip: int) -> AsyncIterator[Row]:
        """As Source."""
        for row in self._sorted(facts)[skip:]:
            yield row

    def _sorted(self, facts: Facts) -> list[Row]:
        if self._read is None or self._read[0] != facts.name:
            name = facts.file or (f"{facts.table}.{self._ending}" if facts.table else None)
            if name is None:
                raise ConfigurationError(f"{facts.name}: the mapping names no file for it")
            path = self._folder / name
            try:
                rows = list(self._rows(path))
                rows.sort(key=lambda row: _order(row[facts.key]))
            except KeyError:
                raise ConfigurationError(f"{path} has no column {facts.key}") from None
            except OSError as error:
                raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
            except (ValueError, csv.Error) as error:
                raise ConfigurationError(f"{path}: {error}") from None
            self._read = (facts.name, rows)
        return self._read[1]

    def _rows(self, path: Path) -> Iterator[Row]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if self._ending == "csv":
                yield from csv.DictReader(file, strict=True)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line, parse_float=str)
                    if not isinstance(row, dict):
                        raise ValueError(f"line {number} is no object")
                    yield row


def _order(key: Any) -> tuple[int, int, str]:
    """Numbers by their size, everything else as text."""
    text = str(key)
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
