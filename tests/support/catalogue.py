# ruff: noqa: E501, S608 - catalogue statements read better whole, and nothing comes from outside
"""Everything that a database's catalogue says of a schema, by name, to compare two databases."""

from __future__ import annotations

from typing import Any

import asyncpg

ACL = """ARRAY(
    SELECT coalesce(r.rolname::text, 'PUBLIC') || '=' || a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END
    FROM aclexplode({acl}) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee ORDER BY 1
)"""

QUERIES = {
    "schema": f"""
        SELECT n.nspname, pg_get_userbyid(n.nspowner), {ACL.format(acl="n.nspacl")}, obj_description(n.oid, 'pg_namespace')
        FROM pg_namespace AS n WHERE n.nspname = $1""",
    "relations": f"""
        SELECT c.relname, c.relkind::text, c.relpersistence::text, c.reloptions, c.relrowsecurity, c.relforcerowsecurity,
            c.relispartition, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
            pg_get_userbyid(c.relowner), {ACL.format(acl="c.relacl")}, obj_description(c.oid, 'pg_class'),
            CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END
        FROM pg_class AS c WHERE c.relnamespace = to_regnamespace($1) AND c.relkind <> 'i'""",
    "columns": f"""
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
            a.attgenerated::text, a.attstorage::text, a.attcompression::text, l.collname, pg_get_expr(d.adbin, d.adrelid),
            {ACL.format(acl="a.attacl")}, col_description(c.oid, a.attnum)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
        WHERE c.relnamespace = to_regnamespace($1) AND c.relkind <> 'i' AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """
        SELECT c.relname, o.conname, o.contype::text, o.convalidated, o.condeferrable, pg_get_constraintdef(o.oid),
            obj_description(o.oid, 'pg_constraint')
        FROM pg_constraint AS o JOIN pg_class AS c ON c.oid = o.conrelid WHERE o.connamespace = to_regnamespace($1)""",
    "indexes": """
        SELECT pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident, c.reloptions
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE c.relnamespace = to_regnamespace($1)""",
    "functions": f"""
        SELECT p.proname, oidvectortypes(p.proargtypes), pg_get_userbyid(p.proowner),
            {ACL.format(acl="coalesce(p.proacl, acldefault('f', p.proowner))")},
            obj_description(p.oid, 'pg_proc'), CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END
        FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace($1)""",
    "types": """
        SELECT t.typname, t.typtype::text, pg_get_userbyid(t.typowner) FROM pg_type AS t
        WHERE t.typnamespace = to_regnamespace($1) AND t.typelem = 0""",
    "policies": "SELECT * FROM pg_policies WHERE schemaname = $1",
    "triggers": """
        SELECT c.relname, t.tgname, t.tgenabled::text, pg_get_triggerdef(t.oid)
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = to_regnamespace($1) AND NOT t.tgisinternal""",
    "statistics": "SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxnamespace = to_regnamespace($1)",
    "database": """
        SELECT s.setconfig, has_database_privilege('botpulse_owner', current_database(), 'CREATE')
        FROM pg_database AS d LEFT JOIN pg_db_role_setting AS s ON s.setdatabase = d.oid AND s.setrole = 0
        WHERE d.datname = current_database() AND $1 <> ''""",
}


async def catalogue(url: str, schema: str = "botpulse") -> dict[str, list[tuple[Any, ...]]]:
    """What there is, each kind as rows in an order of their own, with the rows of what a migration writes."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "pg_catalog"})
    try:
        found = {
            kind: sorted((tuple(row) for row in await connection.fetch(query, schema)), key=str)
            for kind, query in QUERIES.items()
        }
        for name, kind, *_ in found["relations"]:
            if kind in ("r", "p"):
                rows = await connection.fetch(f"SELECT * FROM {schema}.{name}")
                found[f"rows of {name}"] = sorted((tuple(row) for row in rows), key=str)
        return found
    finally:
        await connection.close()
