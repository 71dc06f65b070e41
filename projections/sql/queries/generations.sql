-- Generations of the tables side by side: made, compared, swapped. In statements with braces, quoted names are filled in.

-- name: exists
-- Whether there is such a schema.
SELECT to_regnamespace($1) IS NOT NULL;

-- name: drop
-- A generation that is not live goes, with everything in it.
DROP SCHEMA IF EXISTS {schema} CASCADE;

-- name: own_refusals
-- What the build itself refuses; the live table of that name outlives the generations.
CREATE TABLE botpulse_next.refused_events (LIKE botpulse.refused_events INCLUDING ALL);

-- name: own_trail
-- The audit trail that the build folds, to be compared with the one that outlives the generations.
CREATE TABLE botpulse_next.audit_log (LIKE botpulse.audit_log INCLUDING ALL);
CREATE TABLE botpulse_next.audit_chains (LIKE botpulse.audit_chains INCLUDING ALL);

-- name: qualify_everything
-- Until the transaction ends no schema is found by itself.
SET LOCAL search_path = pg_catalog;

-- name: made_later
-- Foreign keys, and indexes that belong to no constraint: how to drop them and how to make them again.
SELECT drop_statement, make_statement
FROM (
    SELECT
        1 AS turn,
        format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname) AS drop_statement,
        format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', $1::text, t.relname, c.conname, pg_get_constraintdef(c.oid))
            AS make_statement
    FROM pg_constraint AS c
    JOIN pg_class AS t ON t.oid = c.conrelid
    WHERE c.connamespace = to_regnamespace($1) AND c.contype = 'f' AND c.conparentid = 0
    UNION ALL
    SELECT 0, format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relnamespace = to_regnamespace($1) AND NOT i.indisunique AND NOT c.relispartition
) AS later
ORDER BY turn, make_statement;

-- name: tables
-- The tables of a generation, partitions apart.
SELECT c.oid::bigint AS oid, c.relname::text AS name, format('%I.%I', $1::text, c.relname) AS qualified
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname;

-- name: analyze
-- What the planner must know of a table that has just been filled.
ANALYZE {table};

-- name: commit_early
-- Commits of this session don't wait for the disk.
SET synchronous_commit = off;

-- name: take_turn
-- Whether this session is now the only one that rebuilds, until it ends.
SELECT pg_try_advisory_lock(hashtextextended('botpulse rebuild', 0));

-- name: who_has_the_turn
-- The session that rebuilds.
SELECT l.pid, a.application_name, a.backend_start
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
CROSS JOIN (SELECT hashtextextended('botpulse rebuild', 0) AS key) AS turn
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = turn.key;

-- name: positions
-- Where the live generation stands.
SELECT topic, partition, next_offset FROM botpulse.checkpoints;

-- name: fence
-- From here to the end of the transaction no batch of the live generation begins; the one under way is waited for.
-- Who is silent inside it for too long (a rebuild that was frozen) loses its session, and with it the fence.
SET LOCAL lock_timeout = {milliseconds};
SET LOCAL idle_in_transaction_session_timeout = {silent_milliseconds};
LOCK TABLE botpulse.checkpoints IN SHARE ROW EXCLUSIVE MODE;

-- name: look_once
-- Takes the snapshot of a transaction.
SELECT 1;

-- name: comparisons
-- For every table that both generations ($1, $2) have, but those named in $3: the statement that counts the rows that
-- differ, and the one that lists the first of them. $4: columns that are not compared, as table.column. $5: only the rows
-- of this user, of tables that say whose a row is; null: all rows. $6: columns of time, as table.column; with $7 and $8 only
-- the rows from that time on and before that one, of tables that have such a column.
SELECT
    t.name,
    t.key_columns,
    format(
        'SELECT count(*) FILTER (WHERE n.%1$I IS NULL) AS gone, count(*) FILTER (WHERE o.%1$I IS NULL) AS new, '
        'count(*) FILTER (WHERE o.%1$I IS NOT NULL AND n.%1$I IS NOT NULL) AS changed %2$s',
        t.key_columns[1], differing
    ) AS count_statement,
    format(
        'SELECT CASE WHEN n.%1$I IS NULL THEN ''gone'' WHEN o.%1$I IS NULL THEN ''new'' ELSE ''changed'' END AS kind, '
        'to_jsonb(o)::text AS old, to_jsonb(n)::text AS new %2$s ORDER BY %3$s LIMIT $1',
        t.key_columns[1], differing, t.keys
    ) AS list_statement
FROM (
    SELECT
        o.relname::text AS name,
        k.key_columns,
        k.keys,
        format(
            'FROM (SELECT * FROM %1$I.%3$I%7$s) AS o FULL JOIN (SELECT * FROM %2$I.%3$I%7$s) AS n USING (%4$s) '
            'WHERE ROW(%5$s) IS DISTINCT FROM ROW(%6$s)',
            $1::text, $2::text, o.relname, k.keys, c.old_columns, c.new_columns,
            coalesce(
                ' WHERE telegram_id = ' || $5::bigint,
                ' WHERE ' || quote_ident(c.time_column) || ' >= ' || quote_literal($7::timestamptz)
                || ' AND ' || quote_ident(c.time_column) || ' < ' || quote_literal($8::timestamptz)
            )
        ) AS differing
    FROM pg_class AS o
    JOIN pg_class AS n ON n.relname = o.relname AND n.relnamespace = to_regnamespace($2) AND n.relkind = o.relkind
    CROSS JOIN LATERAL (
        SELECT array_agg(a.attname::text ORDER BY p.place) AS key_columns,
            string_agg(quote_ident(a.attname), ', ' ORDER BY p.place) AS keys
        FROM pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS p (number, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = p.number
        WHERE i.indrelid = o.oid AND i.indisprimary
    ) AS k
    CROSS JOIN LATERAL (
        SELECT string_agg(format('o.%I', a.attname), ', ' ORDER BY a.attnum) AS old_columns,
            string_agg(format('n.%I', a.attname), ', ' ORDER BY a.attnum) AS new_columns,
            bool_or(a.attname = 'telegram_id') AS says_whose,
            CASE
                WHEN $7::timestamptz IS NOT NULL
                    THEN max(a.attname::text) FILTER (WHERE o.relname || '.' || a.attname = ANY ($6::text[]))
            END AS time_column
        FROM pg_attribute AS a
        JOIN pg_attribute AS b ON b.attrelid = n.oid AND b.attname = a.attname AND NOT b.attisdropped
        WHERE a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND o.relname || '.' || a.attname <> ALL ($4::text[])
    ) AS c
    WHERE o.relnamespace = to_regnamespace($1) AND o.relkind IN ('r', 'p') AND NOT o.relispartition
        AND o.relname <> ALL ($3::text[]) AND ($5::bigint IS NULL OR c.says_whose)
        AND ($7::timestamptz IS NULL OR c.time_column IS NOT NULL)
) AS t
ORDER BY t.name;

-- name: corrections
-- The statements that make a table ($3) of the live schema ($1) like that of another one ($2): the one that takes away rows,
-- and the one that puts new and changed ones. $4 as $5 of `comparisons`.
SELECT
    format(
        'DELETE FROM %1$I.%3$I AS o WHERE NOT EXISTS (SELECT FROM %2$I.%3$I AS n WHERE %4$s)%5$s',
        $1::text, $2::text, $3::text, k.same_key, ' AND o.telegram_id = ' || $4::bigint
    ) AS delete_statement,
    format(
        'INSERT INTO %1$I.%3$I AS t (%6$s) SELECT %7$s FROM %2$I.%3$I AS n WHERE NOT EXISTS ('
        'SELECT FROM %1$I.%3$I AS o WHERE %4$s AND ROW(%8$s) IS NOT DISTINCT FROM ROW(%7$s))%5$s '
        'ON CONFLICT (%9$s) DO %10$s',
        $1::text, $2::text, $3::text, k.same_key, ' AND n.telegram_id = ' || $4::bigint,
        c.names, c.new_columns, c.old_columns, k.keys, coalesce('UPDATE SET ' || c.updates, 'NOTHING')
    ) AS put_statement
FROM (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS keys,
        string_agg(format('n.%1$I = o.%1$I', a.attname), ' AND ' ORDER BY a.attnum) AS same_key,
        array_agg(a.attnum) AS numbers
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = to_regclass(format('%I.%I', $1::text, $3::text)) AND i.indisprimary
) AS k
CROSS JOIN LATERAL (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS names,
        string_agg(format('o.%I', a.attname), ', ' ORDER BY a.attnum) AS old_columns,
        string_agg(format('n.%I', a.attname), ', ' ORDER BY a.attnum) AS new_columns,
        string_agg(format('%1$I = EXCLUDED.%1$I', a.attname), ', ' ORDER BY a.attnum)
            FILTER (WHERE a.attnum <> ALL (k.numbers)) AS updates
    FROM pg_attribute AS a
    WHERE a.attrelid = to_regclass(format('%I.%I', $1::text, $3::text)) AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attgenerated = ''
) AS c;

-- name: act_as_projector
-- Until the transaction ends: what follows is no edit by hand.
SET LOCAL ROLE botpulse_projector;

-- name: foldable
-- The tables of the live generation, but those named in $1 (reference data): what a fold writes.
SELECT c.relname::text AS name
FROM pg_class AS c
WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
    AND c.relname <> ALL ($1::text[])
ORDER BY c.relname;

-- name: of_users
-- The tables of the live generation that say whose a row is.
SELECT c.relname::text AS name
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'telegram_id' AND NOT a.attisdropped
WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind = 'r';

-- name: table_of_this_session
-- A table that hides the live one of the same name from this session, and is gone with it.
CREATE TEMPORARY TABLE {table} (LIKE botpulse.{table} INCLUDING ALL);

-- name: schema_of_this_session
-- Where the session's own tables are.
SELECT pg_my_temp_schema()::regnamespace::text;

-- name: digests_that_differ
-- Hours of which one generation has applied another number of events than the other.
SELECT partition, hour, coalesce(o.events, 0) AS old, coalesce(n.events, 0) AS new
FROM (
    SELECT partition, hour, sum(length(digests) / 16)::bigint AS events FROM botpulse.applied_events GROUP BY 1, 2
) AS o
FULL JOIN (
    SELECT partition, hour, sum(length(digests) / 16)::bigint AS events FROM botpulse_next.applied_events GROUP BY 1, 2
) AS n USING (partition, hour)
WHERE o.events IS DISTINCT FROM n.events
ORDER BY partition, hour;

-- name: shapes_differ
-- Whether two generations ($1, $2) have other columns or functions than each other, kept tables ($3) and functions ($4) apart.
WITH shape AS (
    SELECT c.relnamespace AS namespace, c.relname::text AS name, a.attname::text AS part,
        format_type(a.atttypid, a.atttypmod) AS kind
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND c.relname <> ALL ($3::text[])
    UNION ALL
    SELECT p.pronamespace, p.proname::text, pg_get_function_arguments(p.oid), md5(p.prosrc) FROM pg_proc AS p
    WHERE p.proname || '(' || oidvectortypes(p.proargtypes) || ')' <> ALL ($4::text[])
),
mine AS (SELECT name, part, kind FROM shape WHERE namespace = to_regnamespace($1)),
other AS (SELECT name, part, kind FROM shape WHERE namespace = to_regnamespace($2))
SELECT EXISTS (TABLE mine EXCEPT TABLE other) OR EXISTS (TABLE other EXCEPT TABLE mine);

-- name: older_transactions
-- Transactions of others that began before $1 and have a snapshot: they would see nothing of what was built since.
SELECT pid, usename::text AS usename, application_name, state, xact_start
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND backend_xmin IS NOT NULL AND xact_start < $1
ORDER BY xact_start;

-- name: holders
-- Who holds a lock on a table or view of the live generation.
SELECT DISTINCT a.pid, a.usename::text AS usename, a.application_name, a.state, a.xact_start
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation AND c.relnamespace = 'botpulse'::regnamespace
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.granted AND a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - interval '50 ms'
ORDER BY a.xact_start;

-- name: relations
-- Every table and view of some schemas.
SELECT format('%I.%I', n.nspname, c.relname) AS qualified
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
ORDER BY 1;

-- name: give_up_after
-- How long a statement of this transaction may take; 0: as long as it wants.
SET LOCAL statement_timeout = {milliseconds};

-- name: lock
-- Everything for ourselves.
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;

-- name: keep_decisions
-- What people decided about refused events, or a copy has settled, holds for the build's refusals of the same events.
UPDATE {coming}.refused_events AS n SET
    state = o.state,
    decided_by = o.decided_by,
    decided_at = o.decided_at,
    note = o.note
FROM botpulse.refused_events AS o
WHERE n.topic = o.topic AND n.partition = o.partition AND n.log_offset = o.log_offset AND n.state = 'open';

-- name: old_refusals
-- What the generation that leaves has refused: it is the truth again after a rollback.
CREATE TEMPORARY TABLE old_refusals ON COMMIT DROP AS TABLE botpulse.refused_events;

-- name: forget_old_refusals
-- The table itself stays the same one; its rows are those of the generation that comes.
DELETE FROM botpulse.refused_events;

-- name: new_refusals
-- What the generation that comes has refused.
INSERT INTO botpulse.refused_events SELECT * FROM {coming}.refused_events;

-- name: drop_own_refusals
-- Makes room for the table that outlives the generations.
DROP TABLE {coming}.refused_events;

-- name: drop_own_trail
-- The same for the audit trail; a generation that was live before has none.
DROP TABLE IF EXISTS {coming}.audit_log, {coming}.audit_chains;

-- name: carry_over
-- A table or function that outlives the generations goes along.
ALTER {kind} botpulse.{name} SET SCHEMA {coming};

-- name: leave_old_refusals
-- See old_refusals.
CREATE TABLE botpulse.refused_events AS TABLE pg_temp.old_refusals;

-- name: outlast_epochs
-- No writer that claimed its partitions in the generation that leaves can write to the one that comes. As the projector:
-- this is no edit by hand.
SET LOCAL ROLE botpulse_projector;
UPDATE {coming}.checkpoints AS n SET epoch = greatest(n.epoch, o.epoch) + 1
FROM botpulse.checkpoints AS o
WHERE n.topic = o.topic AND n.partition = o.partition;
SET LOCAL ROLE botpulse_owner;

-- name: rename
-- A schema's name is what makes its generation the live one.
ALTER SCHEMA {old} RENAME TO {new};

-- name: now
-- The database's clock.
SELECT clock_timestamp();
