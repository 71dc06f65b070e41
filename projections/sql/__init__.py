"""All SQL of the package: named queries in `queries/*.sql`, migrations in `migrations/*.sql`, the roles in `roles.sql`.

A query file is a row of blocks. Each begins with `-- name: some_name`, then comment lines that say what the query is
for, then one statement:

    -- name: open_refusals
    -- How many refused events nobody has dealt with yet.
    SELECT count(*) FROM ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
QUERIES: Final = FOLDER / "queries"
MIGRATIONS: Final = FOLDER / "migrations"
ROLES: Final = FOLDER / "roles.sql"
SCHEMA: Final = FOLDER / "schema.sql"

_NAME = re.compile(r"^-- name: *(?P<name>[a-z][a-z0-9_]*) *$")


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement with the comment that describes it."""

    name: str
    description: str
    text: str


def parse(source: str, origin: str) -> dict[str, Query]:
    """Split a query file into its named queries, in the order of the file.

    Raises ValueError, naming `origin`, for text before the first name, a name used twice, a block without a
    description or without a statement.
    """
    queries: dict[str, Query] = {}
    name: str | None = None
    block: list[str] = []

    def finish() -> None:
        if name is None:
            if any(line.strip() and not line.startswith("--") for line in block):
                raise ValueError(f"{origin}: a statement stands before the first `-- name:`")
            return
        if name in queries:
            raise ValueError(f"{origin}: the name {name} is used twice")
        queries[name] = _query(name, block, origin)

    for line in source.splitlines():
        if found := _NAME.match(line):
            finish()
            name, block = found["name"], []
        else:
            block.append(line)
    finish()
    return queries


def _query(name: str, block: list[str], origin: str) -> Query:
    lines = "\n".join(block).strip().splitlines()
    comment = [line.removeprefix("--").strip() for line in lines[: _leading_comments(lines)]]
    statement = "\n".join(lines[len(comment) :]).strip().removesuffix(";")
    if not comment:
        raise ValueError(f"{origin}: the query {name} has no description")
    if not statement:
        raise ValueError(f"{origin}: the query {name} has no statement")
    return Query(name, " ".join(comment), statement)


def _leading_comments(lines: list[str]) -> int:
    return next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))


@cache
def load(file: str) -> dict[str, Query]:
    """Return the queries of `queries/<file>.sql` by name, parsed once a process."""
    path = QUERIES / f"{file}.sql"
    return parse(path.read_text(encoding="utf-8"), path.name)


def query(file: str, name: str) -> str:
    """Return the text of one named query of `queries/<file>.sql`; raises KeyError for an unknown name."""
    return load(file)[name].text
