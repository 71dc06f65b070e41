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
-- In a database of our own (no user's table, view or function outside our schemas, extensions aside), names are found without
-- their schema, days are UTC days, and a page out of order costs little more than the next one, for everyone who connects. Beside other people's tables, or where the database belongs
-- to somebody else, that is set for logins that are here to read or look after our tables, in this database alone: members of
-- botpulse_analyst, _auditor, _maintenance or _admin that have chosen no search_path themselves. A bot's own login stays as it
-- is, so that its own names mean what they meant. Does nothing where the settings are made already.
DO $settle$
DECLARE
    this_database   pg_database;
    settings        text[];
    foreign_objects bigint;
    login           text;
BEGIN
    SELECT * INTO this_database FROM pg_database WHERE datname = current_database();
    SELECT setconfig INTO settings FROM pg_db_role_setting WHERE setdatabase = this_database.oid AND setrole = 0;
    IF EXISTS (SELECT FROM unnest(settings) AS s WHERE s LIKE 'search_path=botpulse%')
        AND EXISTS (SELECT FROM unnest(settings) AS s WHERE lower(s) = 'timezone=utc')
        AND EXISTS (SELECT FROM unnest(settings) AS s WHERE s LIKE 'random\_page\_cost=%')
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

    IF foreign_objects = 0 AND pg_has_role(session_user, this_database.datdba, 'USAGE') THEN
        EXECUTE format('ALTER DATABASE %I SET search_path = botpulse, public', current_database());
        EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'UTC');
        -- Postgres assumes a disk with a moving head. Under row level security it shows the statistics of numerics to no
        -- query of an analyst, so that assumption alone would make it read all users for the few of a spending.
        IF NOT EXISTS (SELECT FROM unnest(settings) AS s WHERE s LIKE 'random\_page\_cost=%') THEN
            EXECUTE format('ALTER DATABASE %I SET random_page_cost = 1.1', current_database());
        END IF;
        RETURN;
    END IF;

    FOR login IN
        SELECT r.rolname FROM pg_roles AS r
        WHERE r.rolcanlogin AND NOT r.rolsuper
            AND EXISTS (
                SELECT FROM unnest(ARRAY['analyst', 'auditor', 'maintenance', 'admin']) AS reader
                WHERE pg_has_role(r.oid, 'botpulse_' || reader, 'MEMBER')
            )
            AND NOT EXISTS (
                SELECT FROM unnest(ARRAY['bot', 'projector', 'installer', 'owner']) AS program
                WHERE pg_has_role(r.oid, 'botpulse_' || program, 'MEMBER')
            )
            AND NOT EXISTS (
                SELECT FROM pg_db_role_setting AS s
                CROSS JOIN LATERAL unnest(s.setconfig) AS setting
                WHERE s.setrole = r.oid AND s.setdatabase IN (0, this_database.oid) AND setting LIKE 'search\_path=%'
            )
        ORDER BY r.rolname
    LOOP
        BEGIN
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = botpulse, public', login, current_database());
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET timezone = %L', login, current_database(), 'UTC');
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'the search_path of % stays: write botpulse.users and so on', login;
        END;
    END LOOP;
END
$settle$;
