"""Who may do what in the database: `sql/access.toml` as data, and the statements that make it true.

`settle` compares what the catalogue says with what the file says and executes the difference: grants, row level
security and its policies. It runs with every migration and on every schema that a generation of the tables is built in,
so a new table needs one line in the file. A table without a line is locked: nobody but the owner reads it.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import asyncpg

from projections import sql

PREFIX: Final = "botpulse_"
OWNER: Final = "botpulse_owner"
PROJECTOR: Final = "botpulse_projector"
ADMIN: Final = "botpulse_admin"
MAINTENANCE: Final = "botpulse_maintenance"
AUDITOR: Final = "botpulse_auditor"

_CREATE: Final = {"all_rows": "create_all_rows", "own_rows": "create_own_rows"}
_WRITE: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_OWN_ROWS: Final = "(telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint)"
"""The condition of the policy `own_rows`, as the catalogue writes it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the roles may do with the tables and views of one kind; roles by their full names."""

    meaning: str
    own: tuple[str, ...]
    """They read the rows of one user."""
    privileges: Mapping[str, tuple[str, ...]]
    """Of each role, `own` included."""
    migrated: bool
    """Written by migrations alone, not folded from the log."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A table or view of the file."""

    kind: Kind
    personal: frozenset[str]
    open: frozenset[str]


class Grant(NamedTuple):
    """A privilege on a table or view, or on one column of it."""

    name: str
    column: str | None
    role: str
    privilege: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole file."""

    roles: Mapping[str, str]
    """Each role's meaning."""
    kept: Mapping[str, Entry]
    """Tables outside the generations."""
    generation: Mapping[str, Entry]
    """Tables and views of a generation."""
    functions: Mapping[str, tuple[str, ...]]
    """By signature, who may call it besides the owner."""
    kept_functions: frozenset[str]
    hidden_from: frozenset[str]
    """Roles that see no personal column."""

    def entry(self, name: str) -> Entry | None:
        """What the file says of a table or view."""
        return self.generation.get(name) or self.kept.get(name)

    def grants(self, name: str, columns: Iterable[str]) -> Iterator[Grant]:
        """Yield what is granted on a table or view with these columns.

        Raises ValueError for a table with personal data of which a column is in neither list.
        """
        entry = self.entry(name)
        if entry is None:
            return
        undecided = set(columns) - entry.personal - entry.open if entry.personal else set()
        if undecided:
            raise ValueError(f"access.toml: {name}: is {', '.join(sorted(undecided))} personal or open?")
        for role, privileges in entry.kind.privileges.items():
            for privilege in privileges:
                if entry.personal and role in self.hidden_from:
                    yield from (Grant(name, column, role, privilege) for column in entry.open)
                else:
                    yield Grant(name, None, role, privilege)

    def policies(self, name: str) -> dict[str, tuple[str, frozenset[str]]]:
        """Return the policies of a table, by name: the condition as the catalogue writes it, and the roles."""
        entry = self.entry(name)
        if entry is None:
            return {"all_rows": ("true", frozenset({OWNER}))}
        everything = frozenset({OWNER, *entry.kind.privileges}) - set(entry.kind.own)
        own = {"own_rows": (_OWN_ROWS, frozenset(entry.kind.own))} if entry.kind.own else {}
        return {"all_rows": ("true", everything), **own}


@cache
def matrix() -> Matrix:
    """Read `sql/access.toml`; raises ValueError for a role or kind that it does not have."""
    data = tomllib.loads((sql.FOLDER / "access.toml").read_text(encoding="utf-8"))
    roles = {PREFIX + name: meaning for name, meaning in data["roles"].items()}

    def named(names: Iterable[str]) -> tuple[str, ...]:
        full = tuple(PREFIX + name for name in names)
        if unknown := set(full) - set(roles):
            raise ValueError(f"access.toml: no role {', '.join(sorted(unknown))}")
        return full

    def kind(settings: Mapping[str, Any]) -> Kind:
        own, read = named(settings.get("own", ())), named(settings.get("read", ()))
        privileges: dict[str, tuple[str, ...]] = dict.fromkeys((*own, *read), ("SELECT",))
        privileges |= dict.fromkeys(named(settings.get("append", ())), ("SELECT", "INSERT"))
        privileges |= dict.fromkeys(named(settings.get("advance", ())), ("SELECT", "INSERT", "UPDATE"))
        privileges |= dict.fromkeys(named(settings.get("write", ())), _WRITE)
        return Kind(settings["meaning"], own, privileges, bool(settings.get("migrated", False)))

    kinds = {name: kind(settings) for name, settings in data["kinds"].items()}

    def entries(section: Mapping[str, Any]) -> dict[str, Entry]:
        found = {}
        for name, line in section.items():
            line = line if isinstance(line, dict) else {"kind": line}
            if line["kind"] not in kinds:
                raise ValueError(f"access.toml: {name}: no kind {line['kind']}")
            found[name] = Entry(
                kinds[line["kind"]], frozenset(line.get("personal", ())), frozenset(line.get("open", ()))
            )
        return found

    return Matrix(
        roles=roles,
        kept=entries(data["kept"]),
        generation=entries(data["generation"]),
        functions={name: named(callers) for name, callers in {**data["functions"], **data["kept_functions"]}.items()},
        kept_functions=frozenset(data["kept_functions"]),
        hidden_from=frozenset(named(data["personal"]["hidden_from"])),
    )


async def settle(connection: asyncpg.Connection, schema: str) -> None:
    """Bring grants and policies of a schema in line with the file; to be called as the owner, in a transaction."""
    # Revoking a privilege on a table takes those on its columns along: hence a second look.
    while statements := [statement async for statement in _differences(connection, schema, matrix())]:
        await connection.execute(";\n".join(statements))


async def _differences(connection: asyncpg.Connection, schema: str, rules: Matrix) -> AsyncIterator[str]:
    users = {row["grantee"] for row in await connection.fetch(sql.query("access", "schema_users"), schema)}
    wanted_users = set(rules.roles) - {OWNER, f"{PREFIX}installer"}
    if missing := wanted_users - users:
        yield f"GRANT USAGE ON SCHEMA {_quoted(schema)} TO {_list(missing)}"
    relations = await connection.fetch(sql.query("access", "relations"), schema)
    policies = await connection.fetch(sql.query("access", "policies"), schema)
    watching = await connection.fetchval(sql.query("access", "can_watch"))
    for relation in relations:
        if not relation["is_view"] and not relation["is_partition"]:
            own = [row for row in policies if row["name"] == relation["name"]]
            for statement in _row_security(schema, relation, own, rules):
                yield statement
            entry = rules.generation.get(relation["name"])
            if watching and entry is not None and not entry.kind.migrated and not relation["is_watched"]:
                yield sql.query("access", "watch_rows").format(table=_table(schema, relation["name"]))
                yield sql.query("access", "watch_truncation").format(table=_table(schema, relation["name"]))
    wanted = {
        grant
        for relation in relations
        if not relation["is_partition"]
        for grant in rules.grants(relation["name"], relation["columns"])
    }
    given = {Grant(*row) for row in await connection.fetch(sql.query("access", "relation_grants"), schema)}
    for grant in sorted(given - wanted, key=str):
        yield f"REVOKE {_privilege(grant)} ON {_table(schema, grant.name)} FROM {_role(grant.role)}"
    for grant in sorted(wanted - given, key=str):
        yield f"GRANT {_privilege(grant)} ON {_table(schema, grant.name)} TO {_role(grant.role)}"
    for row in await connection.fetch(sql.query("access", "functions"), schema):
        function = f"FUNCTION {_quoted(schema)}.{row['quoted']}"
        callers, given_to = set(rules.functions.get(row["signature"], ())), set(row["callers"])
        if surplus := given_to - callers:
            yield f"REVOKE EXECUTE ON {function} FROM {_list(surplus)}"
        if missing := callers - given_to:
            yield f"GRANT EXECUTE ON {function} TO {_list(missing)}"


def _row_security(
    schema: str, relation: asyncpg.Record, policies: Iterable[asyncpg.Record], rules: Matrix
) -> Iterator[str]:
    table = _table(schema, relation["name"])
    wanted = rules.policies(relation["name"])
    kept = set()
    for row in policies:
        condition, roles = wanted.get(row["policy"], (None, frozenset()))
        if row["permissive"] == "PERMISSIVE" and row["qual"] == condition and set(row["roles"]) == roles:
            kept.add(row["policy"])
        else:
            yield sql.query("access", "drop_policy").format(policy=_quoted(row["policy"]), table=table)
    for policy, (_, roles) in wanted.items():
        if policy not in kept:
            yield sql.query("access", _CREATE[policy]).format(table=table, roles=_list(roles))
    if not relation["is_forced"]:
        yield sql.query("access", "force_row_security").format(table=table)


def _privilege(grant: Grant) -> str:
    return grant.privilege if grant.column is None else f"{grant.privilege} ({_quoted(grant.column)})"


def _table(schema: str, name: str) -> str:
    return f"{_quoted(schema)}.{_quoted(name)}"


def _list(roles: Iterable[str]) -> str:
    return ", ".join(_role(role) for role in sorted(roles))


def _role(name: str) -> str:
    return name if name == "PUBLIC" else _quoted(name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
