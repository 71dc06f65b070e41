"""`docs/database.md`: every table and view by its comments in the database, and who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import asyncpg

from projections import sql
from projections.access import PREFIX, Entry, matrix
from projections.database import SCHEMA

_HEAD: Final = f"""# The database

Everything is in the schema `{SCHEMA}`; `\\d+` shows the same texts. `make schema` writes this page from the comments of
a migrated database and from `projections/sql/access.toml`.
"""
_ACCESS: Final = """
## Who may do what

Roles are groups without login: `CREATE ROLE alice LOGIN PASSWORD '…'; GRANT botpulse_analyst TO alice;`. Every table
has forced row level security, every view runs with the rights of its reader, and nobody is exempt but superusers.
"""
_LETTERS: Final = {"SELECT": "r", "INSERT": "a", "UPDATE": "w", "DELETE": "d"}
_COLUMNS: Final = ("bot", "analyst", "maintenance", "auditor", "projector", "admin")


async def document(connection: asyncpg.Connection) -> str:
    """Return the page for a migrated database."""
    relations = await connection.fetch(sql.query("catalogue", "relations"), SCHEMA)
    parts = [_HEAD]
    for title, kinds in (("Tables", "table"), ("Views", "view")):
        parts.append(f"\n## {title}\n")
        for relation in relations:
            if relation["kind"] == kinds:
                columns = await connection.fetch(sql.query("catalogue", "columns"), relation["oid"])
                parts.append("".join(_relation(relation, columns)))
    parts.append("\n## Functions\n\n")
    functions = await connection.fetch(sql.query("catalogue", "functions"), SCHEMA)
    parts.extend(f"- `{row['signature']}` {_text(row['comment'])}\n" for row in functions)
    return "".join([*parts, *_access()])


def _relation(relation: asyncpg.Record, columns: list[asyncpg.Record]) -> Iterator[str]:
    yield f"\n### {relation['name']}\n\n{_text(relation['comment'])}\n\n"
    yield "| column | type | |\n|---|---|---|\n"
    for column in columns:
        yield f"| {column['name']} | {column['type']} | {_text(column['comment'])} |\n"


def _text(comment: str | None) -> str:
    return (comment or "").replace("|", "\\|").replace("<", "&lt;")


def _access() -> Iterator[str]:
    rules = matrix()
    yield _ACCESS
    yield "\n| role | |\n|---|---|\n"
    for role, meaning in rules.roles.items():
        yield f"| {role} | {meaning} |\n"
    yield (
        "\nr reads, a adds, w changes, d deletes rows; own reads the rows of one user, the one named by "
        "`SET LOCAL botpulse.telegram_id = '…'`; r\\* all columns but the personal ones named below.\n"
    )
    yield f"\n| | {' | '.join(_COLUMNS)} |\n|---{'|---' * len(_COLUMNS)}|\n"
    for name, entry in sorted({**rules.kept, **rules.generation}.items()):
        cells = [_cell(entry, PREFIX + role) for role in _COLUMNS]
        yield f"| {name} | {' | '.join(cells)} |\n"
    for name, entry in sorted(rules.generation.items()):
        if entry.personal:
            yield f"\nPersonal in `{name}`: {', '.join(sorted(entry.personal))}.\n"
    yield "\n| function | may be called by |\n|---|---|\n"
    for name, callers in sorted(rules.functions.items()):
        yield f"| {name} | {', '.join(caller.removeprefix(PREFIX) for caller in callers) or 'nobody but the owner'} |\n"


def _cell(entry: Entry, role: str) -> str:
    if role in entry.kind.own:
        return "own"
    letters = "".join(_LETTERS[privilege] for privilege in entry.kind.privileges.get(role, ()))
    return letters + ("\\*" if letters and entry.personal and role in matrix().hidden_from else "")
