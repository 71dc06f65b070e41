-- The bookkeeping of migrations, and the settings of a database.

-- name: lock_migrations
-- One migration run at a time in a database: the second waits here.
SELECT pg_advisory_lock(hashtextextended('botpulse migrations', 0));

-- name: unlock_migrations
-- Lets the next run go on.
SELECT pg_advisory_unlock(hashtextextended('botpulse migrations', 0));

-- name: has_migrations
-- Whether this database has ever been migrated.
SELECT to_regclass('botpulse.schema_migrations') IS NOT NULL;

-- name: applied_migrations
-- What has been applied, in order.
SELECT version, name, checksum FROM botpulse.schema_migrations ORDER BY version;

-- name: record_migration
-- Written in the same transaction as the migration itself.
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES ($1, $2, $3);

-- name: create_schema
-- The schema of a generation beside the live one.
CREATE SCHEMA {schema};

-- name: settle_database
-- In a database of our own (no user's table, view or function outside our schema, extensions aside), names are found without
-- their schema and days are UTC days, for everyone who connects. Beside other people's tables nothing is changed. Does
-- nothing where the settings are made already.
DO $settle$
DECLARE
    foreign_objects bigint;
    settings        text[];
BEGIN
    SELECT coalesce(s.setconfig, '{}') INTO settings
    FROM pg_database AS d
    LEFT JOIN pg_db_role_setting AS s ON s.setdatabase = d.oid AND s.setrole = 0
    WHERE d.datname = current_database();

    IF EXISTS (SELECT FROM unnest(settings) AS s WHERE s LIKE 'search_path=botpulse%')
        AND EXISTS (SELECT FROM unnest(settings) AS s WHERE lower(s) = 'timezone=utc')
    THEN
        RETURN;
    END IF;

    SELECT count(*) INTO foreign_objects
    FROM (
        SELECT 'pg_class'::regclass AS catalogue, oid, relnamespace AS namespace FROM pg_class
        UNION ALL
        SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
    ) AS o
    JOIN pg_namespace AS n ON n.oid = o.namespace
    WHERE n.nspname NOT IN ('botpulse', 'botpulse_next', 'botpulse_previous', 'information_schema')
        AND n.nspname NOT LIKE 'pg\_%'
        AND NOT EXISTS (
            SELECT FROM pg_depend AS d
            WHERE d.classid = o.catalogue AND d.objid = o.oid AND d.deptype = 'e'
        );

    IF foreign_objects > 0 THEN
        RAISE NOTICE 'this database holds other tables too: its search_path stays, write botpulse.users and so on';
        RETURN;
    END IF;

    EXECUTE format('ALTER DATABASE %I SET search_path = botpulse, public', current_database());
    EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'UTC');
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'not the owner of this database: its search_path stays, write botpulse.users and so on';
END
$settle$;
