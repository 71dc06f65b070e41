# ruff: noqa: S608 - names of our own tables
"""access.toml is true: every role on every table, view and function of a real database, and what the catalogue says."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.catalogue.server import Server
from projections import sql
from projections.access import OWNER, PROJECTOR, matrix
from projections.database import open_connection
from projections.migrations import migrate
from projections.registry import apply
from schemas.errors import ConfigurationError
from tests.support.databases import execute, fresh_database, login
from tests.support.folding import arrivals, at, charge, event, message

ROLES = sorted(set(matrix().roles) - {OWNER, "botpulse_installer"})
DENIED = asyncpg.InsufficientPrivilegeError
RELATIONS = """
    SELECT c.relname::text AS name, c.relkind IN ('v', 'm') AS is_view, ARRAY(
        SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS columns
    FROM pg_class AS c
    WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
    ORDER BY 1
"""


@pytest.fixture
async def database(any_server: Server) -> AsyncIterator[str]:
    async with fresh_database(any_server.database_url) as url:
        await migrate(url)
        yield url


@pytest.fixture
async def superuser(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A filled database: three users, of whom one has only been named by another."""
    projector = await open_connection(database, application_name="test", lock_timeout_ms=5000)
    names = {"username": "ann", "first_name": "Ann", "language": "en", "referred_by": 3}
    log = [event("user.registered", 1, at(), **names), charge(1, at(1)), message(2, at(2)), message(1, at(3))]
    async with projector.transaction():
        await apply(projector, arrivals(log))
    await projector.close()
    connection = await asyncpg.connect(database, server_settings={"search_path": "botpulse"})
    yield connection
    await connection.close()


async def allowed(connection: asyncpg.Connection, role: str, statement: str) -> bool:
    """Whether the role's privileges let it do this; what else may be wrong with the statement does not count."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"SET LOCAL ROLE {role}")
        await connection.execute(statement)
    except DENIED:
        return False
    except asyncpg.PostgresError:
        return True
    finally:
        await transaction.rollback()
    return True


def as_the_file_says() -> dict[tuple[str, str], set[str]]:
    """(name, role) to what it may do, read here by itself: the shortest reader of the file."""
    data = tomllib.loads((sql.FOLDER / "access.toml").read_text())
    verbs = {"own": "SELECT", "read": "SELECT", "append": "SELECT INSERT", "advance": "SELECT INSERT UPDATE",
             "write": "SELECT INSERT UPDATE DELETE"}  # fmt: skip
    said: dict[tuple[str, str], set[str]] = {}
    for name, line in {**data["kept"], **data["generation"]}.items():
        kind = data["kinds"][line["kind"] if isinstance(line, dict) else line]
        for verb, may in verbs.items():
            for role in kind.get(verb, ()):
                said.setdefault((name, f"botpulse_{role}"), set()).update(may.split())
    return said


async def test_every_role_on_every_table_and_view(superuser: asyncpg.Connection) -> None:
    said = as_the_file_says()
    relations = await superuser.fetch(RELATIONS)
    assert {row["name"] for row in relations} == {name for name, _ in said}
    wrong = []
    for row in relations:
        name, columns = row["name"], row["columns"]
        entry = matrix().entry(name)
        assert entry is not None
        for role in ROLES:
            may = said.get((name, role), set())
            narrowed = bool(entry.personal) and role in matrix().hidden_from
            readable = sorted(entry.open) if narrowed else columns
            some = ", ".join(f'"{column}"' for column in readable)
            one = f'"{readable[0]}"'
            tries = {
                f"SELECT {some} FROM {name}": "SELECT" in may,
                f"SELECT * FROM {name}": "SELECT" in may and not narrowed,
                f"INSERT INTO {name} DEFAULT VALUES": "INSERT" in may,
                f"UPDATE {name} SET {one} = DEFAULT": "UPDATE" in may,
                f"DELETE FROM {name}": "DELETE" in may,
                f"TRUNCATE {name} CASCADE": False,
                **{f'SELECT "{column}" FROM {name}': False for column in entry.personal if narrowed},
            }
            for statement, expected in tries.items():
                if row["is_view"] and not statement.startswith("SELECT"):
                    continue
                if await allowed(superuser, role, statement) != expected:
                    wrong.append(f"{role}: {statement}: {'not ' if expected else ''}allowed")
    assert wrong == []


async def test_every_role_on_every_function(superuser: asyncpg.Connection) -> None:
    functions = await superuser.fetch(
        "SELECT p.oid, p.proname || '(' || oidvectortypes(p.proargtypes) || ')' AS signature FROM pg_proc AS p"
        " WHERE p.pronamespace = 'botpulse'::regnamespace"
    )
    wrong = [
        (role, row["signature"])
        for row in functions
        for role in ROLES
        if await superuser.fetchval("SELECT has_function_privilege($1, $2::oid, 'EXECUTE')", role, row["oid"])
        != (role in matrix().functions.get(row["signature"], ()))
    ]
    assert wrong == []
    assert matrix().functions.keys() <= {row["signature"] for row in functions}


async def test_a_user_sees_nobody_else(database: str, superuser: asyncpg.Connection) -> None:
    relations = [row for row in await superuser.fetch(RELATIONS) if "telegram_id" in row["columns"]]
    async with login(database, "botpulse_bot") as url:
        bot = await asyncpg.connect(url, server_settings={"search_path": "botpulse"})
        try:
            seen: dict[str, set[int]] = {}
            for row in relations:
                if "botpulse_bot" not in matrix().entry(row["name"]).kind.privileges:  # type: ignore[union-attr]
                    continue
                for setting, expected in (("1", {1}), ("2", {2}), ("4711", set()), ("", set()), (None, set())):
                    async with bot.transaction():
                        if setting is not None:
                            await bot.execute("SELECT set_config('botpulse.telegram_id', $1, true)", setting)
                        ids = {r[0] for r in await bot.fetch(f"SELECT telegram_id FROM {row['name']}")}
                        assert ids <= expected, (row["name"], setting)
                        seen.setdefault(row["name"], set()).update(ids)
            assert {"users", "user_dashboard", "user_days"} <= {name for name, ids in seen.items() if ids == {1, 2}}
            # The setting ends with its transaction.
            assert await bot.fetchval("SELECT count(*) FROM users") == 0
        finally:
            await bot.close()


RULES = {
    "a table without forced row security": """
        SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND NOT (c.relrowsecurity AND c.relforcerowsecurity)""",
    "a table whose owner sees nothing": """
        SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid
            AND 'botpulse_owner'::regrole = ANY (p.polroles) AND pg_get_expr(p.polqual, p.polrelid) = 'true')""",
    "a policy that calls more than the setting": """
        SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'botpulse' AND (permissive <> 'PERMISSIVE'
        OR 'public' = ANY (roles) OR qual NOT IN ('true',
            '(telegram_id = (NULLIF(current_setting(''botpulse.telegram_id''::text, true), ''''::text))::bigint)'))""",
    "a partition that somebody may use by itself": """
        SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relispartition
        AND EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner)""",
    "a view with its owner's rights": """
        SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind = 'v'
        AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)""",
    "a materialized view that somebody may read": """
        SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind = 'm'
        AND EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner)""",
    "a function with its owner's rights and a search_path of the caller": """
        SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = 'botpulse'::regnamespace AND p.prosecdef
        AND NOT coalesce('search_path=pg_catalog, botpulse, pg_temp' = ANY (p.proconfig), false)""",
    "an object of somebody else": """
        SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'botpulse'::regnamespace
            AND c.relowner <> 'botpulse_owner'::regrole
        UNION ALL SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = 'botpulse'::regnamespace
            AND p.proowner <> 'botpulse_owner'::regrole
        UNION ALL SELECT n.nspname FROM pg_namespace AS n WHERE n.nspname = 'botpulse'
            AND n.nspowner <> 'botpulse_owner'::regrole""",
    "something that everybody may": """
        SELECT c.relname FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.relnamespace = 'botpulse'::regnamespace AND a.grantee = 0
        UNION ALL SELECT p.proname FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
        WHERE p.pronamespace = 'botpulse'::regnamespace AND a.grantee = 0
        UNION ALL SELECT n.nspname FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
        WHERE n.nspname = 'botpulse' AND a.grantee = 0""",
    "a role that logs in, or stands above row security": """
        SELECT rolname FROM pg_roles WHERE rolname LIKE 'botpulse\\_%'
        AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)""",
    "a role that inherits from another": """
        SELECT m.roleid::regrole, m.member::regrole FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member
        WHERE r.rolname LIKE 'botpulse\\_%' AND m.member <> 'botpulse_installer'::regrole
            -- check_database_health() looks at everybody's sessions.
            AND (m.roleid, m.member) <> ('pg_read_all_stats'::regrole, 'botpulse_owner'::regrole)""",
}

BREACHES = {
    "a table without forced row security": "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
    "a table whose owner sees nothing": "DROP POLICY all_rows ON user_days",
    "a policy that calls more than the setting": "CREATE POLICY more ON users USING (random() > 0.5)",
    "a view with its owner's rights": "CREATE VIEW leaky AS SELECT * FROM users",
    "a materialized view that somebody may read":
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; GRANT SELECT ON m TO botpulse_analyst",
    "a function with its owner's rights and a search_path of the caller":
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    "an object of somebody else": "CREATE TABLE stray (a int)",
    "something that everybody may": "GRANT SELECT ON users TO PUBLIC",
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
async def test_rules_of_the_catalogue(database: str, rule: str) -> None:
    connection = await asyncpg.connect(database, server_settings={"search_path": "botpulse"})
    try:
        assert [tuple(row) for row in await connection.fetch(RULES[rule])] == []
        if rule in BREACHES:
            await connection.execute(BREACHES[rule])
            assert await connection.fetch(RULES[rule]) != []
    finally:
        await connection.close()


async def test_what_was_changed_by_hand_is_put_right_by_the_next_migration(database: str) -> None:
    from tests.support.catalogue import catalogue

    before = await catalogue(database)
    await execute(
        database,
        "GRANT SELECT ON botpulse.users TO botpulse_analyst, PUBLIC",
        "GRANT ALL ON botpulse.audit_log TO botpulse_admin",
        "REVOKE SELECT ON botpulse.user_days FROM botpulse_analyst",
        "DROP POLICY own_rows ON botpulse.users",
        "CREATE POLICY own_rows ON botpulse.users FOR SELECT TO botpulse_bot USING (true)",
        "ALTER TABLE botpulse.user_days DISABLE ROW LEVEL SECURITY",
        "GRANT EXECUTE ON FUNCTION botpulse.update_user_tier(bigint) TO PUBLIC",
    )
    assert await catalogue(database) != before
    assert await migrate(database) == []
    assert await catalogue(database) == before


async def test_installing_without_being_superuser(any_server: Server) -> None:
    """Who may not act as the owner is told so; who is an installer and owns the database installs."""
    async with login(any_server.database_url) as plain, fresh_database(any_server.database_url) as url:
        name = plain.split("//")[1].split(":")[0]
        database = url.rpartition("/")[2]
        await execute(url, f"ALTER DATABASE {database} OWNER TO {name}")
        mine = f"{plain.rpartition('/')[0]}/{database}"
        with pytest.raises(ConfigurationError, match=r"DATABASE_URL: .*botpulse_(owner|installer)"):
            await migrate(mine)
        await execute(url, f"GRANT botpulse_installer TO {name}")
        await migrate(mine)
        assert await migrate(mine) == []
        connection = await open_connection(mine, application_name="test", lock_timeout_ms=1000)
        assert await connection.fetchval("SELECT current_user") == PROJECTOR
        async with connection.transaction():
            await apply(connection, arrivals([message(1)]))
        await connection.close()
        # By itself the installer reads nothing.
        bare = await asyncpg.connect(mine)
        with pytest.raises(DENIED):
            await bare.fetch("SELECT * FROM botpulse.users")
        await bare.close()
        await execute(url, f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
