-- Who may do what: what the catalogue says, and the statements that bring it in line with access.toml. In those, names in
-- braces are filled in, quoted, by projections.access; everything acts on the schema $1 or {schema}.

-- name: relations
-- Tables, partitions and views of a schema, with their columns.
SELECT
    c.relname::text AS name,
    c.relkind IN ('v', 'm') AS is_view,
    c.relispartition AS is_partition,
    c.relrowsecurity AND c.relforcerowsecurity AS is_forced,
    EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgname = 'direct_edit') AS is_watched,
    ARRAY(
        SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    ) AS columns
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY c.relname;

-- name: relation_grants
-- Every privilege on a table, view or column of a schema that somebody besides the owner has; the grantee PUBLIC is everybody.
SELECT c.relname::text AS name, NULL AS column_name, coalesce(r.rolname::text, 'PUBLIC') AS grantee, a.privilege_type
FROM pg_class AS c
CROSS JOIN LATERAL aclexplode(c.relacl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v', 'm') AND a.grantee <> c.relowner
UNION ALL
SELECT c.relname::text, t.attname::text, coalesce(r.rolname::text, 'PUBLIC'), a.privilege_type
FROM pg_class AS c
JOIN pg_attribute AS t ON t.attrelid = c.oid AND NOT t.attisdropped
CROSS JOIN LATERAL aclexplode(t.attacl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v', 'm') AND a.grantee <> c.relowner;

-- name: policies
-- Every policy of a schema.
SELECT tablename::text AS name, policyname::text AS policy, permissive, roles::text[] AS roles, cmd, qual, with_check
FROM pg_policies
WHERE schemaname = $1;

-- name: functions
-- The functions of a schema that belong to nobody's extension, by their argument types, and who may call them besides the
-- owner.
SELECT
    p.proname || '(' || oidvectortypes(p.proargtypes) || ')' AS signature,
    quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')' AS quoted,
    ARRAY(
        SELECT coalesce(r.rolname::text, 'PUBLIC')
        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
        LEFT JOIN pg_roles AS r ON r.oid = a.grantee
        WHERE a.grantee <> p.proowner
    ) AS callers
FROM pg_proc AS p
WHERE p.pronamespace = to_regnamespace($1)
ORDER BY 1;

-- name: schema_users
-- Who besides the owner may use the schema.
SELECT coalesce(r.rolname::text, 'PUBLIC') AS grantee
FROM pg_namespace AS n
CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE n.nspname = $1 AND a.grantee <> n.nspowner AND a.privilege_type = 'USAGE';

-- name: force_row_security
-- Rows are seen through policies only, by the owner too.
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- name: drop_policy
-- A policy that access.toml does not have.
DROP POLICY {policy} ON {table};

-- name: create_all_rows
-- For the owner and the roles that see every row; what they may do there is a matter of grants.
CREATE POLICY all_rows ON {table} TO {roles} USING (true) WITH CHECK (true);

-- name: create_own_rows
-- For the role that sees a single user's rows, named by the transaction: SET LOCAL botpulse.telegram_id = '…'.
CREATE POLICY own_rows ON {table} FOR SELECT TO {roles}
    USING (telegram_id = nullif(current_setting('botpulse.telegram_id', true), '')::bigint);

-- name: can_watch
-- Whether the database has what records edits by hand.
SELECT to_regprocedure('botpulse.record_direct_edit()') IS NOT NULL;

-- name: watch_rows
-- Records a row that somebody changes by hand. Exempt are the projections and functions of the owner that others call: then
-- the owner acts without having been set as the role. The condition comes first and costs the projections next to nothing
-- (a trigger with transition tables would copy every row, whatever its condition says).
CREATE TRIGGER direct_edit AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
    WHEN (
        current_user <> 'botpulse_projector'
        AND (current_user <> 'botpulse_owner' OR current_setting('role') = 'botpulse_owner')
    )
    EXECUTE FUNCTION botpulse.record_direct_edit();

-- name: watch_truncation
-- The same for a truncation, which no role but the owner may do.
CREATE TRIGGER direct_truncation AFTER TRUNCATE ON {table} FOR EACH STATEMENT
    EXECUTE FUNCTION botpulse.record_direct_edit();
