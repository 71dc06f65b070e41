-- What docs/database.md says of the database: comments.

-- name: relations
-- Tables and views of a schema, partitions apart, with their comments.
SELECT
    c.oid::bigint AS oid,
    c.relname::text AS name,
    CASE WHEN c.relkind IN ('r', 'p') THEN 'table' ELSE 'view' END AS kind,
    obj_description(c.oid, 'pg_class') AS comment
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
ORDER BY c.relname;

-- name: columns
-- The columns of a table or view in their order.
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute AS a
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: functions
-- Functions of a schema, those of triggers apart.
SELECT
    p.proname || '(' || pg_get_function_arguments(p.oid) || ')' AS signature,
    obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc AS p
WHERE p.pronamespace = to_regnamespace($1) AND p.prorettype <> 'trigger'::regtype
ORDER BY 1;
