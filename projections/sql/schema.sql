-- All of Botpulse's database, for Postgres 15 to 18: psql "$DATABASE_URL" -f schema.sql
--
-- The same as `botpulse migrate` in an empty installation, which goes on from here with later migrations. Written by
-- `make schema`; never edited by hand. Whoever runs it may create roles and schemas (a superuser, or a role with
-- CREATEROLE that owns the database). All or nothing; where the schema botpulse exists it stops and changes nothing.

\set ON_ERROR_STOP on
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('botpulse migrations', 0)); END $$;

-- The roles, and what they need in this database. Run before the migrations, again and again: it adds what is missing.
--
-- Roles belong to the whole server, and no lock does: two databases that are migrated at the same moment may both find a
-- role missing, so a role that somebody else has just made is no error. All are groups without login; people and programs
-- get logins of their own that are members (GRANT botpulse_analyst TO alice). The installer may act as any of them and
-- inherits nothing by itself.
DO $roles$
DECLARE
    -- Since 16 a membership says whether SET ROLE is allowed; before, every membership does.
    grants_say_more constant boolean := current_setting('server_version_num')::integer >= 160000;
    may_act         constant text    := CASE WHEN grants_say_more THEN 'SET' ELSE 'MEMBER' END;
    as_installer    constant text    := CASE WHEN grants_say_more THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
    role_name       text;
    attempt         integer;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'botpulse_owner', 'botpulse_projector', 'botpulse_maintenance', 'botpulse_analyst', 'botpulse_auditor',
        'botpulse_admin', 'botpulse_bot', 'botpulse_installer'
    ]
    LOOP
        IF to_regrole(role_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL;
                WHEN insufficient_privilege THEN
                    RAISE insufficient_privilege USING MESSAGE = format(
                        'the role %s is missing and %s may not create roles; let a superuser or a role with CREATEROLE '
                        'install once', role_name, session_user
                    );
            END;
        END IF;
    END LOOP;

    FOREACH role_name IN ARRAY ARRAY[
        'botpulse_owner', 'botpulse_projector', 'botpulse_maintenance', 'botpulse_analyst', 'botpulse_auditor',
        'botpulse_admin', 'botpulse_bot'
    ]
    LOOP
        FOR attempt IN 1..20 LOOP
            EXIT WHEN pg_has_role('botpulse_installer', role_name, may_act);
            BEGIN
                EXECUTE format('GRANT %I TO botpulse_installer', role_name) || as_installer;
            EXCEPTION
                WHEN unique_violation OR internal_error THEN  -- "tuple concurrently updated"
                    PERFORM pg_sleep(0.05);
                WHEN insufficient_privilege THEN
                    RAISE insufficient_privilege USING MESSAGE = format(
                        'the role botpulse_installer lacks %s and %s may not grant it; let a superuser or the creator of '
                        'these roles install once', role_name, session_user
                    );
            END;
        END LOOP;
    END LOOP;

    FOR attempt IN 1..20 LOOP
        EXIT WHEN pg_has_role(session_user, 'botpulse_owner', may_act);
        BEGIN
            EXECUTE format('GRANT botpulse_installer TO %I', session_user);
        EXCEPTION
            WHEN unique_violation OR internal_error THEN
                PERFORM pg_sleep(0.05);
            WHEN insufficient_privilege THEN
                RAISE insufficient_privilege USING MESSAGE = format(
                    '%s may not act as botpulse_owner; let a superuser or the creator of these roles run: '
                    'GRANT botpulse_installer TO %I', session_user, session_user
                );
        END;
    END LOOP;

    -- So that check_database_health(), which acts as the owner, sees other people's transactions. Where it can't be granted,
    -- the check says so.
    FOR attempt IN 1..20 LOOP
        EXIT WHEN pg_has_role('botpulse_owner', 'pg_read_all_stats', 'USAGE');
        BEGIN
            IF grants_say_more THEN
                EXECUTE 'GRANT pg_read_all_stats TO botpulse_owner WITH INHERIT TRUE';
            ELSE
                GRANT pg_read_all_stats TO botpulse_owner;
                ALTER ROLE botpulse_owner INHERIT;
            END IF;
        EXCEPTION
            WHEN unique_violation OR internal_error THEN
                PERFORM pg_sleep(0.05);
            WHEN insufficient_privilege THEN
                EXIT;
        END;
    END LOOP;

    -- The owner builds the next generation of the tables in a schema of its own; a batch may need temporary tables.
    IF NOT has_database_privilege('botpulse_owner', current_database(), 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO botpulse_owner', current_database());
    END IF;
    FOREACH role_name IN ARRAY ARRAY['botpulse_owner', 'botpulse_projector'] LOOP
        IF NOT has_database_privilege(role_name, current_database(), 'TEMPORARY') THEN
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), role_name);
        END IF;
    END LOOP;
    IF NOT has_database_privilege('botpulse_owner', current_database(), 'CREATE') THEN
        RAISE insufficient_privilege USING MESSAGE = format(
            '%s may not create schemas in the database %s; let its owner run: GRANT CREATE ON DATABASE %I TO botpulse_owner',
            session_user, current_database(), current_database()
        );
    END IF;
END
$roles$;

SET LOCAL ROLE botpulse_owner;
SET LOCAL search_path = '';
SET LOCAL check_function_bodies = false;

CREATE SCHEMA botpulse;

COMMENT ON SCHEMA botpulse IS 'Tables folded from the log of a bot''s events.';

CREATE FUNCTION botpulse.health_of_business() RETURNS TABLE("check" text, status text, value text, advice text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
BEGIN
    -- So many standard deviations of a binomial distribution with the usual rate lie between what failed and what usually
    -- would have; a rate of nothing yet counts as one in a thousand.
    RETURN QUERY
    SELECT
        'failed payments'::text,
        CASE
            WHEN f.attempts < maintenance_setting('failed_payments_min') THEN 'ok'
            ELSE health_status(
                ((f.failed - f.attempts * f.usual) / sqrt(f.attempts * f.usual * (1 - f.usual)))::numeric,
                maintenance_setting('failed_payments_warn_deviations'),
                maintenance_setting('failed_payments_alert_deviations')
            )
        END,
        format('%s of %s today, usually %s %%', f.failed, f.attempts, round(100 * f.usual::numeric, 1)),
        'compare payment_analytics by provider, method and failure_code with the days before'::text
    FROM (
        SELECT t.failed, t.attempts, least(0.999, greatest(0.001, t.failed_before / nullif(t.attempts_before, 0)))::float8 AS usual
        FROM (
            SELECT
                coalesce(sum(d.failed_payments) FILTER (WHERE d.date = current_date), 0) AS failed,
                coalesce(sum(d.failed_payments + d.successful_payments) FILTER (WHERE d.date = current_date), 0) AS attempts,
                sum(d.failed_payments) FILTER (WHERE d.date < current_date) AS failed_before,
                sum(d.failed_payments + d.successful_payments) FILTER (WHERE d.date < current_date) AS attempts_before
            FROM daily_metrics AS d
            WHERE d.date BETWEEN current_date - 28 AND current_date
        ) AS t
    ) AS f;

    RETURN QUERY
    SELECT
        'paying users turned inactive'::text,
        health_status(
            round(100.0 * p.lost / nullif(p.lost + p.stayed, 0), 1),
            maintenance_setting('inactive_payers_warn_percent'), maintenance_setting('inactive_payers_alert_percent')
        ),
        format('%s this week, of %s who were active a week ago', p.lost, p.lost + p.stayed),
        'user_dashboard WHERE activity_status = ''inactive'' AND purchase_count > 0 names them'::text
    FROM (
        SELECT
            count(*) FILTER (WHERE u.last_active < now() - a.within) AS lost,
            -- Who came or paid first within the week could not be lost in it.
            count(*) FILTER (WHERE u.last_active >= now() - a.within AND u.registered_at < now() - interval '7 days') AS stayed
        FROM activity_thresholds AS a
        JOIN users AS u ON u.last_active >= now() - a.within - interval '7 days'
        WHERE a.status = 'active' AND u.purchase_count > 0
            AND u.last_active_day >= (now() - a.within - interval '7 days')::date
    ) AS p;

    RETURN QUERY
    SELECT
        'charges of two users'::text,
        CASE WHEN c.shared > 0 THEN 'alert' ELSE 'ok' END,
        format('%s charge ids', c.shared),
        'one charge_id under two users counts for both: see payment_analytics, and what the bot sends'::text
    FROM (
        SELECT count(*) AS shared
        FROM (
            SELECT FROM payment_analytics AS p
            WHERE p.charge_id IS NOT NULL
            GROUP BY p.charge_id, p.provider
            HAVING min(p.telegram_id) <> max(p.telegram_id)
        ) AS s
    ) AS c;
END
$$;

COMMENT ON FUNCTION botpulse.health_of_business() IS 'Rows of check_database_health() about payments and paying users.';

CREATE FUNCTION botpulse.health_of_projections() RETURNS TABLE("check" text, status text, value text, advice text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
BEGIN
    -- The end of the log is not in Postgres: a batch whose last record was old when it was applied was behind by so much.
    RETURN QUERY
    SELECT
        'lag of ' || c.topic,
        CASE
            WHEN c.behind IS NULL AND c.silent > make_interval(mins => maintenance_setting('silence_warn_minutes')::integer)
                THEN 'warn'
            ELSE health_status(
                extract(epoch FROM c.behind), maintenance_setting('lag_warn_seconds'), maintenance_setting('lag_alert_seconds')
            )
        END,
        CASE
            WHEN c.behind IS NULL THEN 'nothing applied for ' || date_trunc('second', c.silent)::text
            ELSE 'records were ' || date_trunc('second', c.behind)::text || ' old when they were applied'
        END,
        CASE
            WHEN c.behind IS NULL THEN
                'where the bot is busy, see whether the service runs: botpulse status; the end of the log is known there'
            ELSE 'above the thresholds: add workers (python -m projections), up to one a partition'
        END
    FROM (
        SELECT
            p.topic,
            min(clock_timestamp() - p.moved_at) AS silent,
            max(p.moved_at - p.last_appended_at) FILTER (WHERE p.moved_at > clock_timestamp() - interval '10 minutes') AS behind
        FROM checkpoints AS p
        GROUP BY p.topic
    ) AS c
    ORDER BY c.topic;

    RETURN QUERY
    SELECT
        'dead letters'::text,
        health_status(l.letters, maintenance_setting('dead_letters_warn'), maintenance_setting('dead_letters_alert')),
        format('%s in the last 24 hours', l.letters),
        'see which and why: botpulse dead-letters list'::text
    FROM (SELECT count(*) AS letters FROM dead_letters AS d WHERE d.appended_at > now() - interval '24 hours') AS l;

    RETURN QUERY
    SELECT
        'refused events'::text,
        CASE WHEN r.open > 0 THEN 'alert' ELSE 'ok' END,
        format('%s open', r.open),
        'redrive or accept each: botpulse dead-letters; the service is not ready while one is open'::text
    FROM (SELECT count(*) AS open FROM refused_events AS e WHERE e.state = 'open') AS r;

    RETURN QUERY
    SELECT
        'direct edits'::text,
        CASE WHEN e.edits > 0 THEN 'warn' ELSE 'ok' END,
        format('%s rows in %s days', e.edits, maintenance_setting('direct_edits_days')),
        'see direct_edits for who and what; a rebuild undoes them'::text
    FROM (
        SELECT count(*) AS edits
        FROM direct_edits AS d
        WHERE d.edited_at > now() - make_interval(days => maintenance_setting('direct_edits_days')::integer)
    ) AS e;

    RETURN QUERY
    SELECT
        'retention'::text,
        CASE WHEN o.overdue IS NULL THEN 'ok' ELSE 'warn' END,
        coalesce('overdue in ' || o.overdue, 'nothing overdue'),
        'run SELECT cleanup_old_data(), or botpulse maintenance, every day'::text
    FROM (
        SELECT string_agg(t.name, ', ' ORDER BY t.name) AS overdue
        FROM (
            SELECT 'user_sessions' AS name, (SELECT min(s.session_start) FROM user_sessions AS s) AS oldest
            UNION ALL
            SELECT 'hourly_metrics', (SELECT min(h.hour) FROM hourly_metrics AS h)
        ) AS t
        WHERE t.oldest < now() - make_interval(
            days => (maintenance_setting(t.name || '_keep_days') + maintenance_setting('cleanup_overdue_days'))::integer
        )
    ) AS o;
END
$$;

COMMENT ON FUNCTION botpulse.health_of_projections() IS 'Rows of check_database_health() about positions, letters, edits and retention.';

CREATE FUNCTION botpulse.health_of_storage() RETURNS TABLE("check" text, status text, value text, advice text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
BEGIN
    RETURN QUERY
    SELECT
        'bloat'::text,
        health_status(b.dead, maintenance_setting('bloat_warn_percent'), maintenance_setting('bloat_alert_percent')),
        CASE WHEN b.dead IS NULL THEN 'no table with many dead rows' ELSE format('%s %% of %s are dead rows', b.dead, b.name) END,
        'botpulse maintenance vacuums; look for long transactions where it does not help'::text
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT round(100.0 * s.n_dead_tup / nullif(s.n_live_tup + s.n_dead_tup, 0), 1) AS dead, s.relname AS name
        FROM pg_stat_user_tables AS s
        WHERE s.schemaname = 'botpulse' AND s.n_dead_tup >= greatest(1, maintenance_setting('bloat_min_rows'))
        ORDER BY 1 DESC
        LIMIT 1
    ) AS b ON true;

    RETURN QUERY
    SELECT
        'vacuum age'::text,
        health_status(v.age, maintenance_setting('freeze_age_warn'), maintenance_setting('freeze_age_alert')),
        format('%s transactions in %s', v.age, v.name),
        'VACUUM (FREEZE) the table, and see why autovacuum did not: long transactions, replication slots'::text
    FROM (
        SELECT age(c.relfrozenxid)::bigint AS age, c.relname AS name
        FROM pg_class AS c
        WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind IN ('r', 'm')
        ORDER BY 1 DESC
        LIMIT 1
    ) AS v;

    RETURN QUERY
    SELECT
        'index use'::text,
        CASE WHEN i.unused IS NULL AND i.scanned IS NULL THEN 'ok' ELSE 'warn' END,
        concat_ws('; ', 'never used: ' || i.unused, 'mostly read whole: ' || i.scanned, CASE
            WHEN i.unused IS NULL AND i.scanned IS NULL THEN 'every large index is used'
        END),
        'since the statistics were reset last; an index that stays unused costs every write, a table read whole lacks one'::text
    FROM (
        SELECT
            (
                SELECT string_agg(s.indexrelname, ', ' ORDER BY s.indexrelname)
                FROM pg_stat_user_indexes AS s
                JOIN pg_index AS x ON x.indexrelid = s.indexrelid AND NOT x.indisunique
                WHERE s.schemaname = 'botpulse' AND s.idx_scan = 0
                    AND pg_relation_size(s.indexrelid) >= greatest(1, maintenance_setting('unused_index_megabytes') * 1048576)
            ) AS unused,
            (
                SELECT string_agg(s.relname, ', ' ORDER BY s.relname)
                FROM pg_stat_user_tables AS s
                WHERE s.schemaname = 'botpulse' AND s.n_live_tup >= maintenance_setting('seq_scan_min_rows')
                    AND s.seq_scan > 1000 AND s.seq_scan > coalesce(s.idx_scan, 0)
            ) AS scanned
    ) AS i;

    RETURN QUERY
    SELECT
        'cache hit rate'::text,
        CASE
            WHEN h.blocks < maintenance_setting('cache_hit_min_blocks') THEN 'ok'
            WHEN h.share < maintenance_setting('cache_hit_alert_percent') THEN 'alert'
            WHEN h.share < maintenance_setting('cache_hit_warn_percent') THEN 'warn'
            ELSE 'ok'
        END,
        format('%s %% of %s blocks', coalesce(h.share::text, '–'), h.blocks),
        'below the thresholds: more memory for shared_buffers, or look for queries that read whole tables'::text
    FROM (
        SELECT d.blks_hit + d.blks_read AS blocks, round(100.0 * d.blks_hit / nullif(d.blks_hit + d.blks_read, 0), 1) AS share
        FROM pg_stat_database AS d
        WHERE d.datname = current_database()
    ) AS h;

    RETURN QUERY
    SELECT
        'long transactions'::text,
        health_status(
            extract(epoch FROM t.longest), maintenance_setting('transaction_warn_seconds'),
            maintenance_setting('transaction_alert_seconds')
        ),
        CASE
            WHEN t.longest IS NULL THEN 'none is open'
            ELSE format('%s, backend %s', date_trunc('second', t.longest), t.pid)
        END,
        CASE
            WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN
                'they keep vacuum from removing anything; SELECT pg_terminate_backend(pid) ends one'
            ELSE 'only our own are seen: GRANT pg_read_all_stats TO botpulse_owner shows all'
        END
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT clock_timestamp() - a.xact_start AS longest, a.pid
        FROM pg_stat_activity AS a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
        ORDER BY a.xact_start
        LIMIT 1
    ) AS t ON true;

    RETURN QUERY
    SELECT
        'replication slots'::text,
        CASE
            WHEN s.inactive = 0 THEN 'ok'
            WHEN s.held >= maintenance_setting('slot_alert_megabytes') THEN 'alert'
            ELSE 'warn'
        END,
        format('%s, %s inactive, which hold back %s MB', s.slots, s.inactive, s.held),
        'an inactive slot keeps all log for a reader that may never come: pg_drop_replication_slot(name)'::text
    FROM (
        SELECT
            count(*) AS slots,
            count(*) FILTER (WHERE NOT r.active) AS inactive,
            coalesce(round(max(pg_wal_lsn_diff(
                CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, r.restart_lsn
            )) FILTER (WHERE NOT r.active) / 1048576), 0) AS held
        FROM pg_replication_slots AS r
    ) AS s;

    RETURN QUERY
    SELECT
        'table growth'::text,
        CASE
            WHEN n.newest IS NULL OR n.newest < current_date - 8 THEN 'warn'
            ELSE health_status(
                g.percent, maintenance_setting('growth_warn_percent'), maintenance_setting('growth_alert_percent')
            )
        END,
        CASE
            WHEN n.newest IS NULL THEN 'no samples'
            WHEN n.newest < current_date - 8 THEN 'the last sample is of ' || n.newest::text
            WHEN g.percent IS NULL THEN 'no large table has grown within a week'
            ELSE format('%s by %s %% within a week', g.name, g.percent)
        END,
        'botpulse maintenance takes a sample a day; old rows go as maintenance_settings says'::text
    FROM (SELECT max(t.sampled_on) AS newest FROM table_sizes AS t) AS n
    LEFT JOIN LATERAL (
        SELECT t.table_name AS name, round(100.0 * (t.bytes - w.bytes) / nullif(w.bytes, 0), 1) AS percent
        FROM table_sizes AS t
        JOIN LATERAL (
            SELECT b.bytes FROM table_sizes AS b
            WHERE b.table_name = t.table_name AND b.sampled_on BETWEEN n.newest - 14 AND n.newest - 7
            ORDER BY b.sampled_on DESC
            LIMIT 1
        ) AS w ON true
        WHERE t.sampled_on = n.newest AND t.bytes >= maintenance_setting('growth_min_megabytes') * 1048576 AND t.bytes > w.bytes
        ORDER BY 2 DESC
        LIMIT 1
    ) AS g ON true;

    RETURN QUERY
    SELECT
        'materialized views'::text,
        CASE WHEN m.unfilled IS NULL THEN 'ok' ELSE 'warn' END,
        CASE WHEN m.views = 0 THEN 'none' ELSE coalesce('never filled: ' || m.unfilled, format('%s, all filled', m.views)) END,
        'REFRESH MATERIALIZED VIEW CONCURRENTLY; the projections keep every other figure up to date by themselves'::text
    FROM (
        SELECT count(*) AS views, string_agg(v.matviewname, ', ' ORDER BY v.matviewname) FILTER (WHERE NOT v.ispopulated) AS unfilled
        FROM pg_matviews AS v
        WHERE v.schemaname = 'botpulse'
    ) AS m;
END
$$;

COMMENT ON FUNCTION botpulse.health_of_storage() IS 'Rows of check_database_health() about tables, indexes, memory, transactions and slots.';

CREATE FUNCTION botpulse.check_database_health() RETURNS TABLE("check" text, status text, value text, advice text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    BEGIN ATOMIC
 SELECT health_of_projections."check",
     health_of_projections.status,
     health_of_projections.value,
     health_of_projections.advice
    FROM botpulse.health_of_projections() health_of_projections("check", status, value, advice)
 UNION ALL
  SELECT health_of_business."check",
     health_of_business.status,
     health_of_business.value,
     health_of_business.advice
    FROM botpulse.health_of_business() health_of_business("check", status, value, advice)
 UNION ALL
  SELECT health_of_storage."check",
     health_of_storage.status,
     health_of_storage.value,
     health_of_storage.advice
    FROM botpulse.health_of_storage() health_of_storage("check", status, value, advice);
END;

COMMENT ON FUNCTION botpulse.check_database_health() IS 'What an operator should look at: each check with its status (ok, warn, alert), what was found, and what to do. Thresholds are in maintenance_settings.';

CREATE FUNCTION botpulse.cleanup_old_data() RETURNS TABLE(table_name text, removed_rows bigint, horizon timestamp with time zone, is_finished boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET lock_timeout TO '10s'
    AS $_$
#variable_conflict use_column
DECLARE
    left_over  bigint := maintenance_setting('cleanup_rows');
    -- All settings are read before anything is removed: a wrong one leaves everything as it is.
    targets CONSTANT jsonb := jsonb_build_array(
        jsonb_build_object(
            'table', 'user_sessions', 'column', 'session_start', 'is_projected', true,
            'days', maintenance_setting('user_sessions_keep_days')
        ),
        jsonb_build_object(
            'table', 'hourly_metrics', 'column', 'hour', 'is_projected', true,
            'days', maintenance_setting('hourly_metrics_keep_days')
        ),
        jsonb_build_object(
            'table', 'dead_letters', 'column', 'appended_at', 'is_projected', true,
            'days', maintenance_setting('hourly_metrics_keep_days')
        ),
        jsonb_build_object(
            'table', 'table_sizes', 'column', 'sampled_on', 'is_projected', false,
            'days', maintenance_setting('table_sizes_keep_days')
        )
    );
    -- A generation under construction was begun with the horizons as they are.
    is_building CONSTANT boolean := to_regnamespace('botpulse_next') IS NOT NULL;
    target      record;
    known       timestamptz;
    wanted      timestamptz;
    gone        bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('botpulse cleanup', 0)) THEN
        RAISE NOTICE 'another cleanup is running; this one removes nothing';
        RETURN;
    END IF;
    IF is_building THEN
        RAISE NOTICE 'a rebuild is under way; what is to be kept moves on after it';
    END IF;

    FOR target IN
        SELECT *
        FROM jsonb_to_recordset(targets) AS t ("table" text, "column" text, is_projected boolean, days bigint)
    LOOP
        known := (SELECT h.horizon FROM retention_horizons AS h WHERE h.table_name = target."table");
        wanted := greatest(
            known, date_trunc('day', now() - make_interval(days => target.days::integer), 'UTC')
        );
        gone := 0;
        IF known IS NOT NULL THEN
            -- The projector writes nothing there any more: no batch is in the way.
            gone := remove_rows_before(target."table", target."column", known, left_over);
        END IF;
        IF wanted IS DISTINCT FROM known AND NOT is_building THEN
            IF target.is_projected THEN
                -- Batches read the horizon: it moves between two of them (see update_user_tier).
                LOCK TABLE checkpoints IN SHARE MODE;
            END IF;
            IF target."table" = 'user_sessions' THEN
                PERFORM cut_sessions_at(wanted);
            END IF;
            gone := gone + remove_rows_before(target."table", target."column", wanted, greatest(left_over - gone, 0));
            known := wanted;
        END IF;
        left_over := greatest(left_over - gone, 0);
        CONTINUE WHEN known IS NULL;

        INSERT INTO retention_horizons AS h (table_name, horizon, removed_rows, cleaned_at)
        VALUES (target."table", known, gone, now())
        ON CONFLICT ON CONSTRAINT retention_horizons_pkey DO UPDATE SET
            horizon = excluded.horizon,
            removed_rows = h.removed_rows + excluded.removed_rows,
            cleaned_at = excluded.cleaned_at;
        table_name := target."table";
        removed_rows := gone;
        horizon := known;
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE %I < $1)', target."table", target."column")
            INTO is_finished USING known;
        IF gone > 0 THEN
            EXECUTE format('ANALYZE %I', target."table");
        END IF;
        RETURN NEXT;
    END LOOP;
END
$_$;

COMMENT ON FUNCTION botpulse.cleanup_old_data() IS 'Removes rows that are older than maintenance_settings says: whole partitions, elsewhere at most cleanup_rows rows a call. Totals keep what they counted. Returns for each table what was removed, from when on rows are kept, and whether nothing older is left.';

CREATE FUNCTION botpulse.unpack_actions(actions bytea) RETURNS TABLE(occurred_at timestamp with time zone, kind integer, amount bigint)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT
        timestamptz '1970-01-01 00:00:00+00' + (packed.moment >> 3) * interval '1 microsecond',
        (packed.moment & 7)::integer,
        packed.amount
    FROM generate_series(1, length(actions), 12) AS place
    CROSS JOIN LATERAL (
        SELECT
            ('x' || encode(substring(actions FROM place FOR 8), 'hex'))::bit(64)::bigint AS moment,
            ('x' || encode(substring(actions FROM place + 8 FOR 4), 'hex'))::bit(32)::bigint AS amount
    ) AS packed
$$;

COMMENT ON FUNCTION botpulse.unpack_actions(actions bytea) IS 'The actions of user_days.actions, a row each: when, the number of its kind, and its credits or cents.';

CREATE TABLE botpulse.user_days (
    telegram_id bigint NOT NULL,
    date date NOT NULL,
    messages_received bigint NOT NULL,
    messages_sent bigint NOT NULL,
    own_actions bigint NOT NULL,
    purchases bigint NOT NULL,
    spend_cents bigint NOT NULL,
    credits_spent bigint NOT NULL,
    unlocks bigint NOT NULL,
    actions bytea NOT NULL,
    CONSTRAINT user_days_check CHECK ((length(actions) = (12 * own_actions))),
    CONSTRAINT user_days_credits_spent_check CHECK ((credits_spent >= 0)),
    CONSTRAINT user_days_messages_received_check CHECK ((messages_received >= 0)),
    CONSTRAINT user_days_messages_sent_check CHECK ((messages_sent >= 0)),
    CONSTRAINT user_days_own_actions_check CHECK ((own_actions >= 0)),
    CONSTRAINT user_days_purchases_check CHECK ((purchases >= 0)),
    CONSTRAINT user_days_spend_cents_check CHECK ((spend_cents >= 0)),
    CONSTRAINT user_days_unlocks_check CHECK ((unlocks >= 0))
)
WITH (fillfactor='80');

ALTER TABLE ONLY botpulse.user_days FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.user_days IS 'What a user did on a UTC day: the base of daily figures, rolling windows and sessions.';

COMMENT ON COLUMN botpulse.user_days.purchases IS 'Charges of the day, gross: refunds take nothing here; so does spend_cents.';

COMMENT ON COLUMN botpulse.user_days.actions IS 'The own actions in order of arrival, 12 bytes each, big-endian: 8 bytes microseconds since 1970 times 8 plus the kind (1 message received, 2 credits spent, 3 payment succeeded, 4 content viewed, 5 content unlocked), 4 bytes credits or cents.';

CREATE TABLE botpulse.user_sessions (
    telegram_id bigint NOT NULL,
    session_start timestamp with time zone NOT NULL,
    session_end timestamp with time zone NOT NULL,
    time_spent_seconds numeric GENERATED ALWAYS AS (EXTRACT(epoch FROM (session_end - session_start))) STORED NOT NULL,
    messages_in_session bigint NOT NULL,
    credits_spent bigint NOT NULL,
    purchases_in_session bigint NOT NULL,
    CONSTRAINT user_sessions_check CHECK ((session_end >= session_start)),
    CONSTRAINT user_sessions_credits_spent_check CHECK ((credits_spent >= 0)),
    CONSTRAINT user_sessions_messages_in_session_check CHECK ((messages_in_session >= 0)),
    CONSTRAINT user_sessions_purchases_in_session_check CHECK ((purchases_in_session >= 0))
)
WITH (fillfactor='80');

ALTER TABLE ONLY botpulse.user_sessions FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.user_sessions IS 'Own actions of a user with gaps of at most 30 minutes; a late event may join two sessions.';

COMMENT ON COLUMN botpulse.user_sessions.time_spent_seconds IS 'From the first to the last action; 0 for a single one.';

COMMENT ON COLUMN botpulse.user_sessions.purchases_in_session IS 'Charges in the session, gross.';

CREATE FUNCTION botpulse.cut_sessions_at(horizon timestamp with time zone) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
 UPDATE botpulse.user_sessions s SET session_start = cut.session_start, messages_in_session = cut.messages, credits_spent = cut.credits, purchases_in_session = cut.purchases
    FROM ( SELECT o.telegram_id,
             o.session_start AS began_at,
             min(a.occurred_at) AS session_start,
             count(*) FILTER (WHERE (a.kind = 1)) AS messages,
             (COALESCE(sum(a.amount) FILTER (WHERE (a.kind = 2)), (0)::numeric))::bigint AS credits,
             count(*) FILTER (WHERE (a.kind = 3)) AS purchases
            FROM ((botpulse.user_sessions o
              JOIN botpulse.user_days d ON (((d.telegram_id = o.telegram_id) AND ((d.date >= ((cut_sessions_at.horizon AT TIME ZONE 'UTC'::text))::date) AND (d.date <= ((o.session_end AT TIME ZONE 'UTC'::text))::date)))))
              CROSS JOIN LATERAL botpulse.unpack_actions(d.actions) a(occurred_at, kind, amount))
           WHERE ((o.session_start < cut_sessions_at.horizon) AND (o.session_end >= cut_sessions_at.horizon) AND ((a.occurred_at >= cut_sessions_at.horizon) AND (a.occurred_at <= o.session_end)))
           GROUP BY o.telegram_id, o.session_start) cut
   WHERE ((s.telegram_id = cut.telegram_id) AND (s.session_start = cut.began_at));
END;

COMMENT ON FUNCTION botpulse.cut_sessions_at(horizon timestamp with time zone) IS 'Lets sessions that reach across a moment begin with their first own action from it on: as if nothing were known of the time before.';

CREATE TABLE botpulse.auto_recharge_triggers (
    telegram_id bigint NOT NULL,
    trigger_id text NOT NULL,
    amount_cents bigint NOT NULL,
    credits bigint,
    triggered_at timestamp with time zone NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    CONSTRAINT auto_recharge_triggers_amount_limits CHECK (((amount_cents >= 100) AND (amount_cents <= 50000))),
    CONSTRAINT auto_recharge_triggers_credits_check CHECK ((credits >= 0))
);

ALTER TABLE ONLY botpulse.auto_recharge_triggers FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.auto_recharge_triggers IS 'One row a top-up that the auto-recharge started.';

CREATE TABLE botpulse.payment_analytics (
    telegram_id bigint NOT NULL,
    provider text NOT NULL,
    payment_id text GENERATED ALWAYS AS (COALESCE(charge_id, attempt_id)) STORED NOT NULL,
    charge_id text,
    attempt_id text,
    payment_status text NOT NULL,
    settlement_status text,
    payment_method_type text NOT NULL,
    amount_cents bigint NOT NULL,
    refunded_cents bigint NOT NULL,
    remainder_cents bigint NOT NULL,
    dispute_lost_cents bigint NOT NULL,
    dispute_lost_at timestamp with time zone,
    original_amount_minor numeric,
    original_currency text,
    purpose text,
    failure_code text,
    is_auto_recharge boolean NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    CONSTRAINT payment_analytics_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT payment_analytics_check CHECK (((remainder_cents >= 0) AND (remainder_cents <= amount_cents))),
    CONSTRAINT payment_analytics_check1 CHECK (((dispute_lost_cents >= 0) AND (dispute_lost_cents <= amount_cents))),
    CONSTRAINT payment_analytics_check2 CHECK (((dispute_lost_cents = 0) OR (dispute_lost_at IS NOT NULL))),
    CONSTRAINT payment_analytics_check3 CHECK (((original_amount_minor IS NULL) = (original_currency IS NULL))),
    CONSTRAINT payment_analytics_original_amount_minor_check CHECK ((original_amount_minor >= (0)::numeric)),
    CONSTRAINT payment_analytics_outcome CHECK (
CASE payment_status
    WHEN 'succeeded'::text THEN ((charge_id IS NOT NULL) AND (attempt_id IS NULL) AND (failure_code IS NULL) AND (settlement_status IS NOT NULL))
    ELSE ((attempt_id IS NOT NULL) AND (charge_id IS NULL) AND (failure_code IS NOT NULL) AND (settlement_status IS NULL) AND (refunded_cents = 0) AND (remainder_cents = 0) AND (dispute_lost_cents = 0))
END),
    CONSTRAINT payment_analytics_payment_method_type_check CHECK ((payment_method_type = ANY (ARRAY['stars'::text, 'card'::text, 'wallet'::text, 'bank'::text, 'crypto'::text, 'other'::text]))),
    CONSTRAINT payment_analytics_payment_status_check CHECK ((payment_status = ANY (ARRAY['succeeded'::text, 'failed'::text]))),
    CONSTRAINT payment_analytics_provider_check CHECK ((provider = ANY (ARRAY['telegram_stars'::text, 'telegram_payments'::text, 'stripe'::text, 'other'::text]))),
    CONSTRAINT payment_analytics_purpose_check CHECK ((purpose = ANY (ARRAY['credits'::text, 'content'::text, 'subscription'::text, 'other'::text]))),
    CONSTRAINT payment_analytics_refunded_cents_check CHECK ((refunded_cents >= 0)),
    CONSTRAINT payment_analytics_settlement_status_check CHECK ((settlement_status = ANY (ARRAY['settled'::text, 'partially_refunded'::text, 'disputed'::text, 'refunded'::text, 'dispute_lost'::text])))
);

ALTER TABLE ONLY botpulse.payment_analytics FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.payment_analytics IS 'One row an attempt to pay, succeeded or failed. Known by the provider''s id, once a user for ever.';

COMMENT ON COLUMN botpulse.payment_analytics.payment_id IS 'charge_id of a success, attempt_id of a failure.';

COMMENT ON COLUMN botpulse.payment_analytics.payment_status IS 'The outcome of the attempt; a later refund does not change it.';

COMMENT ON COLUMN botpulse.payment_analytics.settlement_status IS 'What became of a charge: dispute_lost, refunded, disputed (open), partially_refunded or settled; null for a failure.';

COMMENT ON COLUMN botpulse.payment_analytics.amount_cents IS 'The amount in US cents, gross.';

COMMENT ON COLUMN botpulse.payment_analytics.refunded_cents IS 'The sum of the refunds as sent; may exceed the amount.';

COMMENT ON COLUMN botpulse.payment_analytics.remainder_cents IS 'What is left after refunds and lost disputes: what counts for the user''s spend.';

COMMENT ON COLUMN botpulse.payment_analytics.dispute_lost_cents IS 'What a lost dispute took: the amount less its refunds.';

COMMENT ON COLUMN botpulse.payment_analytics.dispute_lost_at IS 'The earliest closing of a dispute as lost.';

COMMENT ON COLUMN botpulse.payment_analytics.original_amount_minor IS 'What was really charged, in minor units of original_currency (Telegram Stars are XTR).';

COMMENT ON COLUMN botpulse.payment_analytics.source IS 'With event_id: the event that supplied this row''s fields.';

CREATE TABLE botpulse.payment_disputes (
    telegram_id bigint NOT NULL,
    provider text NOT NULL,
    dispute_id text NOT NULL,
    charge_id text,
    amount_cents bigint,
    reason text,
    opened_at timestamp with time zone,
    source text,
    event_id text,
    closed_charge_id text,
    outcome text,
    closed_at timestamp with time zone,
    closed_source text,
    closed_event_id text,
    CONSTRAINT payment_disputes_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT payment_disputes_check CHECK ((num_nonnulls(charge_id, amount_cents, opened_at, source, event_id) = ANY (ARRAY[0, 5]))),
    CONSTRAINT payment_disputes_check1 CHECK ((num_nonnulls(closed_charge_id, outcome, closed_at, closed_source, closed_event_id) = ANY (ARRAY[0, 5]))),
    CONSTRAINT payment_disputes_check2 CHECK (((opened_at IS NOT NULL) OR (closed_at IS NOT NULL))),
    CONSTRAINT payment_disputes_outcome_check CHECK ((outcome = ANY (ARRAY['won'::text, 'lost'::text])))
);

ALTER TABLE ONLY botpulse.payment_disputes FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.payment_disputes IS 'One row a dispute: its opening and the latest of its closings; either may be known without the other.';

COMMENT ON COLUMN botpulse.payment_disputes.charge_id IS 'The charge that the opening names.';

COMMENT ON COLUMN botpulse.payment_disputes.closed_charge_id IS 'The charge that the closing names.';

CREATE TABLE botpulse.payment_refunds (
    telegram_id bigint NOT NULL,
    provider text NOT NULL,
    refund_id text NOT NULL,
    charge_id text,
    amount_cents bigint,
    original_amount_minor numeric,
    original_currency text,
    reason text,
    failed boolean NOT NULL,
    occurred_at timestamp with time zone,
    source text,
    event_id text,
    CONSTRAINT payment_refunds_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT payment_refunds_check CHECK ((num_nonnulls(charge_id, amount_cents, occurred_at, source, event_id) = ANY (ARRAY[0, 5]))),
    CONSTRAINT payment_refunds_check1 CHECK ((failed OR (occurred_at IS NOT NULL))),
    CONSTRAINT payment_refunds_original_amount_minor_check CHECK ((original_amount_minor >= (0)::numeric))
);

ALTER TABLE ONLY botpulse.payment_refunds FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.payment_refunds IS 'One row a refund. It may be known before its charge; of a failed one perhaps nothing else is known.';

COMMENT ON COLUMN botpulse.payment_refunds.failed IS 'A failed refund counts nowhere.';

CREATE TABLE botpulse.users (
    telegram_id bigint NOT NULL,
    username text,
    first_name text,
    last_name text,
    preferred_language text,
    referral_code text,
    referred_by bigint,
    is_premium boolean,
    registered_at timestamp with time zone,
    total_spent_cents bigint DEFAULT 0 NOT NULL,
    purchase_count bigint DEFAULT 0 NOT NULL,
    lifetime_messages bigint DEFAULT 0 NOT NULL,
    message_credits bigint DEFAULT 0 NOT NULL,
    last_active timestamp with time zone,
    last_active_day date GENERATED ALWAYS AS (((last_active AT TIME ZONE 'UTC'::text))::date) STORED,
    current_tier text DEFAULT 'new'::text NOT NULL,
    tier_changed_at timestamp with time zone,
    is_blocked boolean DEFAULT false NOT NULL,
    auto_recharge_enabled boolean DEFAULT false NOT NULL,
    auto_recharge_amount_cents bigint,
    auto_recharge_credits bigint,
    auto_recharge_threshold_credits bigint,
    CONSTRAINT users_auto_recharge_amount_limits CHECK (((auto_recharge_amount_cents >= 100) AND (auto_recharge_amount_cents <= 50000))),
    CONSTRAINT users_auto_recharge_credits_check CHECK ((auto_recharge_credits >= 0)),
    CONSTRAINT users_auto_recharge_threshold_credits_check CHECK ((auto_recharge_threshold_credits >= 0)),
    CONSTRAINT users_check CHECK ((referred_by <> telegram_id)),
    CONSTRAINT users_current_tier_check CHECK ((current_tier = ANY (ARRAY['new'::text, 'regular'::text, 'vip'::text, 'premium'::text]))),
    CONSTRAINT users_lifetime_messages_check CHECK ((lifetime_messages >= 0)),
    CONSTRAINT users_purchase_count_check CHECK ((purchase_count >= 0)),
    CONSTRAINT users_telegram_id_check CHECK (((telegram_id >= 1) AND (telegram_id <= '4503599627370496'::bigint))),
    CONSTRAINT users_total_spent_cents_check CHECK ((total_spent_cents >= 0)),
    CONSTRAINT users_username_check CHECK ((length(username) <= 64))
)
WITH (fillfactor='80');

ALTER TABLE ONLY botpulse.users FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.users IS 'One row a user: profile, lifetime totals, tier. A user first seen through another event than the registration has no profile yet.';

COMMENT ON COLUMN botpulse.users.referral_code IS 'The user''s own code for inviting others; not unique.';

COMMENT ON COLUMN botpulse.users.referred_by IS 'The referrer that the earliest registration naming one gave.';

COMMENT ON COLUMN botpulse.users.registered_at IS 'The earliest registration; null for a user who is known from other events only.';

COMMENT ON COLUMN botpulse.users.total_spent_cents IS 'What is left of all charges after refunds and lost disputes, in US cents.';

COMMENT ON COLUMN botpulse.users.purchase_count IS 'Charges of which something is left.';

COMMENT ON COLUMN botpulse.users.lifetime_messages IS 'Messages received from the user.';

COMMENT ON COLUMN botpulse.users.message_credits IS 'Credits granted less credits spent; negative while a spend is known before its grant.';

COMMENT ON COLUMN botpulse.users.last_active IS 'The latest own action: a message, credits spent, a payment, content viewed or unlocked; null before the first.';

COMMENT ON COLUMN botpulse.users.last_active_day IS 'The UTC day of last_active.';

COMMENT ON COLUMN botpulse.users.current_tier IS 'The tier by purchase_count and total_spent_cents under the current rules, lower-case.';

COMMENT ON COLUMN botpulse.users.tier_changed_at IS 'The broker''s time of the record that changed the tier last; null before the first change.';

COMMENT ON COLUMN botpulse.users.auto_recharge_amount_cents IS 'What one automatic top-up costs, in US cents.';

COMMENT ON COLUMN botpulse.users.auto_recharge_threshold_credits IS 'Below this balance a top-up is made.';

CREATE FUNCTION botpulse.figures_of_day(day date) RETURNS TABLE(date date, active_users bigint, new_users bigint, messages_received bigint, messages_sent bigint, revenue_cents bigint, refunded_cents bigint, dispute_lost_cents bigint, successful_payments bigint, failed_payments bigint, auto_recharge_triggers bigint, content_unlocks bigint, credits_spent bigint, new_disputes bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH span AS (
          SELECT ((figures_of_day.day)::timestamp without time zone AT TIME ZONE 'UTC'::text) AS since,
             (((figures_of_day.day + 1))::timestamp without time zone AT TIME ZONE 'UTC'::text) AS until
         ), lost_charges AS (
          SELECT DISTINCT d.telegram_id,
             d.provider,
             d.closed_charge_id AS charge_id
            FROM (span
              JOIN botpulse.payment_disputes d ON (((d.outcome = 'lost'::text) AND (d.closed_at >= span.since) AND (d.closed_at < span.until))))
           WHERE (NOT (EXISTS ( SELECT
                    FROM botpulse.payment_disputes e
                   WHERE ((e.telegram_id = d.telegram_id) AND (e.provider = d.provider) AND (e.closed_charge_id = d.closed_charge_id) AND (e.outcome = 'lost'::text) AND (e.closed_at < span.since)))))
         )
  SELECT figures_of_day.day AS day,
     days.active_users,
     registered.new_users,
     days.messages_received,
     days.messages_sent,
     paid.revenue_cents,
     refunded.cents,
     lost.cents,
     paid.succeeded,
     paid.failed,
     triggered.triggers,
     days.unlocks,
     days.credits_spent,
     disputed.disputes
    FROM ((((((( SELECT count(*) FILTER (WHERE (u.own_actions > 0)) AS active_users,
             (COALESCE(sum(u.messages_received), (0)::numeric))::bigint AS messages_received,
             (COALESCE(sum(u.messages_sent), (0)::numeric))::bigint AS messages_sent,
             (COALESCE(sum(u.unlocks), (0)::numeric))::bigint AS unlocks,
             (COALESCE(sum(u.credits_spent), (0)::numeric))::bigint AS credits_spent
            FROM botpulse.user_days u
           WHERE (u.date = figures_of_day.day)) days
      CROSS JOIN ( SELECT count(*) AS new_users
            FROM (botpulse.users u
              JOIN span ON (((u.registered_at >= span.since) AND (u.registered_at < span.until))))) registered)
      CROSS JOIN ( SELECT (COALESCE(sum(p.amount_cents) FILTER (WHERE (p.payment_status = 'succeeded'::text)), (0)::numeric))::bigint AS revenue_cents,
             count(*) FILTER (WHERE (p.payment_status = 'succeeded'::text)) AS succeeded,
             count(*) FILTER (WHERE (p.payment_status = 'failed'::text)) AS failed
            FROM (span
              JOIN botpulse.payment_analytics p ON (((p.occurred_at >= span.since) AND (p.occurred_at < span.until))))) paid)
      CROSS JOIN ( SELECT (COALESCE(sum(r.amount_cents), (0)::numeric))::bigint AS cents
            FROM ((span
              JOIN botpulse.payment_refunds r ON (((r.occurred_at >= span.since) AND (r.occurred_at < span.until) AND (NOT r.failed))))
              JOIN botpulse.payment_analytics c ON (((c.telegram_id = r.telegram_id) AND (c.provider = r.provider) AND (c.payment_status = 'succeeded'::text) AND (c.payment_id = r.charge_id))))) refunded)
      CROSS JOIN ( SELECT (COALESCE(sum(GREATEST((c.amount_cents - refunds.cents), (0)::bigint)), (0)::numeric))::bigint AS cents
            FROM ((lost_charges l
              JOIN botpulse.payment_analytics c ON (((c.telegram_id = l.telegram_id) AND (c.provider = l.provider) AND (c.payment_status = 'succeeded'::text) AND (c.payment_id = l.charge_id))))
              CROSS JOIN LATERAL ( SELECT (COALESCE(sum(r.amount_cents), (0)::numeric))::bigint AS cents
                    FROM botpulse.payment_refunds r
                   WHERE ((r.telegram_id = l.telegram_id) AND (r.provider = l.provider) AND (r.charge_id = l.charge_id) AND (NOT r.failed))) refunds)) lost)
      CROSS JOIN ( SELECT count(*) AS triggers
            FROM (span
              JOIN botpulse.auto_recharge_triggers t ON (((t.triggered_at >= span.since) AND (t.triggered_at < span.until))))) triggered)
      CROSS JOIN ( SELECT count(*) AS disputes
            FROM (span
              JOIN botpulse.payment_disputes d ON (((d.opened_at >= span.since) AND (d.opened_at < span.until))))) disputed)
   WHERE ((days.active_users <> 0) OR (registered.new_users <> 0) OR (days.messages_received <> 0) OR (days.messages_sent <> 0) OR (paid.revenue_cents <> 0) OR (refunded.cents <> 0) OR (lost.cents <> 0) OR (paid.succeeded <> 0) OR (paid.failed <> 0) OR (triggered.triggers <> 0) OR (days.unlocks <> 0) OR (days.credits_spent <> 0) OR (disputed.disputes <> 0));
END;

COMMENT ON FUNCTION botpulse.figures_of_day(day date) IS 'The figures of a UTC day, from the facts alone: what its row in daily_metrics must be. No row for a day on which nothing was counted.';

CREATE FUNCTION botpulse.health_status(measured numeric, warn_from numeric, alert_from numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN (measured >= alert_from) THEN 'alert'::text
             WHEN (measured >= warn_from) THEN 'warn'::text
             ELSE 'ok'::text
         END AS "case";
END;

COMMENT ON FUNCTION botpulse.health_status(measured numeric, warn_from numeric, alert_from numeric) IS 'ok, warn or alert, by two thresholds; ok for null.';

CREATE FUNCTION botpulse.maintenance_setting(setting text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    AS $_$
DECLARE
    s botpulse.maintenance_settings;
BEGIN
    SELECT * INTO s FROM maintenance_settings AS m WHERE m.setting = maintenance_setting.setting;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('there is no maintenance setting %L', setting),
            HINT = (SELECT 'There are ' || string_agg(m.setting, ', ' ORDER BY m.setting) FROM maintenance_settings AS m);
    END IF;
    IF s.or_forever AND s.value = 'forever' THEN
        RETURN NULL;
    END IF;
    IF s.value ~ '^[0-9]{1,15}$' AND s.value::bigint BETWEEN s.least AND s.most THEN
        RETURN s.value::bigint;
    END IF;
    RAISE invalid_parameter_value USING
        MESSAGE = format(
            'the maintenance setting %s is %L: it must be a whole number from %s to %s%s', s.setting, s.value, s.least,
            s.most, CASE WHEN s.or_forever THEN ', or forever' ELSE '' END
        ),
        HINT = format('SELECT set_maintenance_setting(%L, %L)', s.setting, s.default_value);
END
$_$;

COMMENT ON FUNCTION botpulse.maintenance_setting(setting text) IS 'A setting of maintenance as a number, null for forever. Raises an error that names the setting where its value is none.';

CREATE FUNCTION botpulse.money_of_user(telegram_id bigint) RETURNS TABLE(purchases bigint, spent_cents bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT count(*) FILTER (WHERE (l.left_cents > 0)) AS count,
     (COALESCE(sum(l.left_cents), (0)::numeric))::bigint AS "coalesce"
    FROM ((botpulse.payment_analytics c
      CROSS JOIN LATERAL ( SELECT (COALESCE(sum(r.amount_cents), (0)::numeric))::bigint AS cents,
             COALESCE(sum(r.original_amount_minor) FILTER (WHERE (r.original_currency = c.original_currency)), (0)::numeric) AS original
            FROM botpulse.payment_refunds r
           WHERE ((r.telegram_id = c.telegram_id) AND (r.provider = c.provider) AND (r.charge_id = c.charge_id) AND (NOT r.failed))) refunded)
      CROSS JOIN LATERAL ( SELECT
                 CASE
                     WHEN (EXISTS ( SELECT
                        FROM botpulse.payment_disputes d
                       WHERE ((d.telegram_id = c.telegram_id) AND (d.provider = c.provider) AND (d.closed_charge_id = c.charge_id) AND (d.outcome = 'lost'::text)))) THEN (0)::bigint
                     WHEN ((c.original_amount_minor > (0)::numeric) AND (refunded.original >= c.original_amount_minor)) THEN (0)::bigint
                     ELSE GREATEST((c.amount_cents - refunded.cents), (0)::bigint)
                 END AS left_cents) l)
   WHERE ((c.telegram_id = money_of_user.telegram_id) AND (c.payment_status = 'succeeded'::text));
END;

COMMENT ON FUNCTION botpulse.money_of_user(telegram_id bigint) IS 'Purchases and spend of a user, from charges, refunds and disputes alone: what users.purchase_count and total_spent_cents must be.';

CREATE FUNCTION botpulse.record_direct_edit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD IS NOT DISTINCT FROM NEW THEN
        RETURN NULL;
    END IF;
    INSERT INTO botpulse.direct_edits (edited_at, login, acting_as, application, table_name, operation, before, after)
    VALUES (
        clock_timestamp(), session_user, coalesce(nullif(current_setting('role'), 'none'), session_user),
        current_setting('application_name'), TG_TABLE_NAME, TG_OP, to_jsonb(OLD), to_jsonb(NEW)
    );
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION botpulse.record_direct_edit() IS 'Writes a changed row of a projected table to direct_edits.';

CREATE FUNCTION botpulse.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF current_user <> 'botpulse_owner' AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s is append-only: %s refused', TG_TABLE_NAME, TG_OP);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION botpulse.refuse_change() IS 'Keeps a table append-only for all but its owner and superusers.';

CREATE FUNCTION botpulse.remove_rows_before(table_name text, time_column text, horizon timestamp with time zone, most bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    AS $_$
DECLARE
    leaf    record;
    in_one  bigint;
    dropped bigint := 0;
    deleted bigint := 0;
BEGIN
    FOR leaf IN
        SELECT t.relid::regclass AS name, c.relispartition AS is_partition,
            (regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$TO \('([^']+)'\)$re$))[1]::timestamptz AS until
        FROM pg_partition_tree(format('botpulse.%I', table_name)::regclass) AS t
        JOIN pg_class AS c ON c.oid = t.relid
        WHERE t.isleaf
        UNION ALL
        SELECT c.oid::regclass, false, NULL
        FROM pg_class AS c
        WHERE c.oid = format('botpulse.%I', table_name)::regclass AND c.relkind = 'r'
        ORDER BY 3 NULLS LAST
    LOOP
        IF leaf.is_partition AND leaf.until <= horizon THEN
            BEGIN
                EXECUTE format('SELECT count(*) FROM %s', leaf.name) INTO in_one;
                EXECUTE format('DROP TABLE %s', leaf.name);
                dropped := dropped + in_one;
            EXCEPTION
                WHEN lock_not_available THEN
                    RAISE NOTICE '% is in use: it is dropped the next time', leaf.name;
            END;
        ELSIF deleted < most THEN
            EXECUTE format(
                'DELETE FROM %1$s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE %2$I < $1 ORDER BY %2$I LIMIT $2))',
                leaf.name, time_column
            ) USING horizon, most - deleted;
            GET DIAGNOSTICS in_one = ROW_COUNT;
            deleted := deleted + in_one;
        END IF;
    END LOOP;
    RETURN dropped + deleted;
END
$_$;

COMMENT ON FUNCTION botpulse.remove_rows_before(table_name text, time_column text, horizon timestamp with time zone, most bigint) IS 'Drops the partitions that lie wholly before a moment, and deletes at most so many rows elsewhere. Returns how many rows are gone.';

CREATE FUNCTION botpulse.sample_table_sizes() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    AS $$
DECLARE
    sampled integer;
BEGIN
    INSERT INTO table_sizes (table_name, sampled_on, bytes)
    SELECT
        p.root::text,
        (now() AT TIME ZONE 'UTC')::date,
        sum(pg_total_relation_size(p.relid))::bigint
    FROM (
        SELECT c.oid AS relid, (SELECT r.relname FROM pg_class AS r WHERE r.oid = coalesce(pg_partition_root(c.oid), c.oid)) AS root
        FROM pg_class AS c
        WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind IN ('r', 'm')
    ) AS p
    GROUP BY p.root
    ON CONFLICT (table_name, sampled_on) DO UPDATE SET bytes = excluded.bytes;
    GET DIAGNOSTICS sampled = ROW_COUNT;
    RETURN sampled;
END
$$;

COMMENT ON FUNCTION botpulse.sample_table_sizes() IS 'Notes how large each table is today, for check_database_health(). Returns how many.';

CREATE FUNCTION botpulse.set_maintenance_setting(setting text, value text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    AS $$
BEGIN
    UPDATE maintenance_settings AS m SET value = coalesce(set_maintenance_setting.value, m.default_value)
    WHERE m.setting = set_maintenance_setting.setting;
    -- Raises for an unknown name and for a wrong value, and so leaves the setting as it was.
    RETURN coalesce(maintenance_setting(setting)::text, 'forever');
END
$$;

COMMENT ON FUNCTION botpulse.set_maintenance_setting(setting text, value text) IS 'Changes a setting of maintenance; null brings the default back. Returns the value; a wrong one changes nothing.';

CREATE TABLE botpulse.tier_rules (
    tier text NOT NULL,
    rank integer NOT NULL,
    min_purchases bigint NOT NULL,
    min_spent_cents bigint NOT NULL,
    rules_version integer NOT NULL,
    CONSTRAINT tier_rules_min_purchases_check CHECK ((min_purchases >= 0)),
    CONSTRAINT tier_rules_min_spent_cents_check CHECK ((min_spent_cents >= 0)),
    CONSTRAINT tier_rules_rank_check CHECK ((rank >= 0)),
    CONSTRAINT tier_rules_rules_version_check CHECK ((rules_version > 0))
);

ALTER TABLE ONLY botpulse.tier_rules FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.tier_rules IS 'What each tier takes under the current rules: either number reaches it. Written by the migration from the rules data.';

COMMENT ON COLUMN botpulse.tier_rules.rank IS '0 for the lowest tier, which everybody reaches.';

CREATE FUNCTION botpulse.tier_of(purchases bigint, spent_cents bigint) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT r.tier
    FROM botpulse.tier_rules r
   WHERE ((tier_of.purchases >= r.min_purchases) OR (tier_of.spent_cents >= r.min_spent_cents))
   ORDER BY r.rank DESC
  LIMIT 1;
END;

COMMENT ON FUNCTION botpulse.tier_of(purchases bigint, spent_cents bigint) IS 'The highest tier that either number reaches under the current rules, lower-case.';

CREATE FUNCTION botpulse.update_daily_metrics(day date DEFAULT NULL::date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    SET lock_timeout TO '10s'
    AS $$
DECLARE
    today    CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    each_day date;
    is_right boolean;
    repaired integer := 0;
BEGIN
    FOREACH each_day IN ARRAY CASE WHEN day IS NULL THEN ARRAY[today - 1, today] ELSE ARRAY[day] END LOOP
        WITH stored AS (
            SELECT
                d.date, d.active_users, d.new_users, d.messages_received, d.messages_sent, d.revenue_cents,
                d.refunded_cents, d.dispute_lost_cents, d.successful_payments, d.failed_payments,
                d.auto_recharge_triggers, d.content_unlocks, d.credits_spent, d.new_disputes
            FROM daily_metrics AS d
            WHERE d.date = each_day
        ),
        recomputed AS MATERIALIZED (
            SELECT * FROM figures_of_day(each_day)
        )
        SELECT NOT EXISTS ((TABLE stored EXCEPT TABLE recomputed) UNION ALL (TABLE recomputed EXCEPT TABLE stored))
        INTO is_right;

        CONTINUE WHEN is_right;

        -- As in update_user_tier: a repair needs the time between two batches.
        LOCK TABLE checkpoints IN SHARE MODE;
        DELETE FROM daily_metrics AS d WHERE d.date = each_day;
        INSERT INTO daily_metrics (
            date, active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents,
            dispute_lost_cents, successful_payments, failed_payments, auto_recharge_triggers, content_unlocks,
            credits_spent, new_disputes
        )
        SELECT * FROM figures_of_day(each_day);
        repaired := repaired + 1;
    END LOOP;
    RETURN repaired;
END
$$;

COMMENT ON FUNCTION botpulse.update_daily_metrics(day date) IS 'Recomputes the figures of a UTC day from the facts and repairs its row where it differs; without a day, those of yesterday and today. Returns how many days were repaired.';

CREATE FUNCTION botpulse.update_user_tier(telegram_id bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'botpulse', 'pg_temp'
    SET lock_timeout TO '10s'
    AS $$
DECLARE
    known record;
    tier  text;
BEGIN
    SELECT
        u.current_tier,
        (u.purchase_count, u.total_spent_cents, u.current_tier)
        = (m.purchases, m.spent_cents, tier_of(m.purchases, m.spent_cents)) AS is_right
    INTO known
    FROM users AS u
    CROSS JOIN LATERAL money_of_user(u.telegram_id) AS m
    WHERE u.telegram_id = update_user_tier.telegram_id;

    IF NOT FOUND THEN
        RAISE NOTICE 'there is no user %; nothing was changed', coalesce(update_user_tier.telegram_id::text, 'null');
        RETURN NULL;
    END IF;
    IF known.is_right THEN
        RETURN known.current_tier;
    END IF;

    -- One snapshot holds whole batches of the projector, so the difference is real. It adds to what is stored, and decides
    -- a tier by what it has read: a repair needs the time between two batches. Every batch begins by moving its
    -- checkpoints, so this lock waits for those under way and holds the next ones up until the caller's commit.
    LOCK TABLE checkpoints IN SHARE MODE;
    UPDATE users AS u SET
        purchase_count = m.purchases,
        total_spent_cents = m.spent_cents,
        current_tier = tier_of(m.purchases, m.spent_cents)
    FROM money_of_user(update_user_tier.telegram_id) AS m
    WHERE u.telegram_id = update_user_tier.telegram_id
    RETURNING u.current_tier INTO tier;
    RETURN tier;
END
$$;

COMMENT ON FUNCTION botpulse.update_user_tier(telegram_id bigint) IS 'Recomputes purchases, spend and tier of a user from the facts, repairs the row where it differs, sends nothing. Returns the tier; null, with a notice, for a user who is unknown.';

CREATE TABLE botpulse.activity_thresholds (
    status text NOT NULL,
    within interval NOT NULL,
    CONSTRAINT activity_thresholds_status_check CHECK ((status = ANY (ARRAY['active'::text, 'inactive'::text]))),
    CONSTRAINT activity_thresholds_within_check CHECK ((within > '00:00:00'::interval))
);

ALTER TABLE ONLY botpulse.activity_thresholds FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.activity_thresholds IS 'How long after the last sign of life a user counts as active or inactive; longer is churned. Written by the migration from the schemas package.';

CREATE TABLE botpulse.hourly_metrics (
    hour timestamp with time zone NOT NULL,
    events bigint NOT NULL,
    messages bigint NOT NULL,
    messages_sent bigint NOT NULL,
    payments bigint NOT NULL,
    payment_failures bigint NOT NULL,
    refunds bigint NOT NULL,
    disputes bigint NOT NULL,
    dead_letters bigint NOT NULL,
    tier_changes bigint NOT NULL,
    admin_actions bigint NOT NULL,
    CONSTRAINT hourly_metrics_admin_actions_check CHECK ((admin_actions >= 0)),
    CONSTRAINT hourly_metrics_dead_letters_check CHECK ((dead_letters >= 0)),
    CONSTRAINT hourly_metrics_disputes_check CHECK ((disputes >= 0)),
    CONSTRAINT hourly_metrics_events_check CHECK ((events >= 0)),
    CONSTRAINT hourly_metrics_hour_check CHECK ((date_trunc('hour'::text, hour, 'UTC'::text) = hour)),
    CONSTRAINT hourly_metrics_messages_check CHECK ((messages >= 0)),
    CONSTRAINT hourly_metrics_messages_sent_check CHECK ((messages_sent >= 0)),
    CONSTRAINT hourly_metrics_payment_failures_check CHECK ((payment_failures >= 0)),
    CONSTRAINT hourly_metrics_payments_check CHECK ((payments >= 0)),
    CONSTRAINT hourly_metrics_refunds_check CHECK ((refunds >= 0)),
    CONSTRAINT hourly_metrics_tier_changes_check CHECK ((tier_changes >= 0))
)
WITH (fillfactor='50');

ALTER TABLE ONLY botpulse.hourly_metrics FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.hourly_metrics IS 'One row a UTC hour in which something was counted, by the time of the events; dead letters by the broker''s time of the letter.';

COMMENT ON COLUMN botpulse.hourly_metrics.events IS 'Events of the bot that are applied; what is refused or in conflict is none of them.';

COMMENT ON COLUMN botpulse.hourly_metrics.messages IS 'Messages received.';

COMMENT ON COLUMN botpulse.hourly_metrics.payments IS 'Charges, gross: a later refund takes nothing here.';

COMMENT ON COLUMN botpulse.hourly_metrics.payment_failures IS 'Attempts to pay that failed.';

COMMENT ON COLUMN botpulse.hourly_metrics.refunds IS 'Refunds that did not fail, their charge known or not.';

COMMENT ON COLUMN botpulse.hourly_metrics.disputes IS 'Disputes opened, their charge known or not.';

COMMENT ON COLUMN botpulse.hourly_metrics.dead_letters IS 'Records that were refused, each once a stage.';

COMMENT ON COLUMN botpulse.hourly_metrics.tier_changes IS 'Tier changes by their own time, which is the broker''s time of the record that caused them (tier_history.changed_at).';

CREATE VIEW botpulse.admin_monitoring WITH (security_invoker='true') AS
 SELECT hour,
    events,
    messages,
    payments,
    payment_failures,
    round(((100.0 * (payment_failures)::numeric) / (NULLIF((payments + payment_failures), 0))::numeric), 2) AS failure_rate_percent,
    refunds,
    disputes,
    dead_letters,
    tier_changes,
    admin_actions,
    messages_sent
   FROM botpulse.hourly_metrics;

COMMENT ON VIEW botpulse.admin_monitoring IS 'What happened by UTC hour: one row an hour in which something did.';

COMMENT ON COLUMN botpulse.admin_monitoring.failure_rate_percent IS 'Failed attempts to pay as a percentage of all attempts; null in an hour without any.';

CREATE TABLE botpulse.applied_events (
    partition integer NOT NULL,
    hour timestamp with time zone NOT NULL,
    first_offset bigint NOT NULL,
    digests bytea NOT NULL,
    CONSTRAINT applied_events_digests_check CHECK (((length(digests) > 0) AND ((length(digests) % 16) = 0))),
    CONSTRAINT applied_events_first_offset_check CHECK ((first_offset >= 0)),
    CONSTRAINT applied_events_partition_check CHECK ((partition >= 0))
);
ALTER TABLE ONLY botpulse.applied_events ALTER COLUMN digests SET STORAGE EXTERNAL;

ALTER TABLE ONLY botpulse.applied_events FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.applied_events IS 'Which events are applied: one row a batch, partition and hour of the events'' time, for ever.';

COMMENT ON COLUMN botpulse.applied_events.first_offset IS 'The offset of the first event in the row.';

COMMENT ON COLUMN botpulse.applied_events.digests IS 'Digests of (source, id, time), 16 bytes each, one after the other.';

CREATE TABLE botpulse.audit_chains (
    topic text NOT NULL,
    log_partition integer NOT NULL,
    seq bigint NOT NULL,
    log_offset bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_chains_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT audit_chains_log_offset_check CHECK ((log_offset >= 0)),
    CONSTRAINT audit_chains_log_partition_check CHECK ((log_partition >= 0)),
    CONSTRAINT audit_chains_seq_check CHECK ((seq > 0))
)
WITH (fillfactor='50');

ALTER TABLE ONLY botpulse.audit_chains FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.audit_chains IS 'The head of each chain of the audit log. The heads are published too, so that a chain which was written anew shows.';

COMMENT ON COLUMN botpulse.audit_chains.seq IS 'The place of the chain''s last row.';

COMMENT ON COLUMN botpulse.audit_chains.log_offset IS 'The record on the log that the chain''s last row is about.';

COMMENT ON COLUMN botpulse.audit_chains.hash IS 'The hash of the chain''s last row.';

CREATE TABLE botpulse.audit_log (
    topic text NOT NULL,
    log_partition integer NOT NULL,
    seq bigint NOT NULL,
    format smallint NOT NULL,
    log_offset bigint NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    telegram_id bigint NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    outcome text NOT NULL,
    before json,
    after json,
    hash bytea NOT NULL,
    CONSTRAINT audit_log_format_check CHECK ((format > 0)),
    CONSTRAINT audit_log_hash_check CHECK ((length(hash) = 32)),
    CONSTRAINT audit_log_log_offset_check CHECK ((log_offset >= 0)),
    CONSTRAINT audit_log_log_partition_check CHECK ((log_partition >= 0)),
    CONSTRAINT audit_log_outcome_check CHECK ((outcome = ANY (ARRAY['applied'::text, 'without_effect'::text, 'conflict'::text]))),
    CONSTRAINT audit_log_seq_check CHECK ((seq > 0))
);

ALTER TABLE ONLY botpulse.audit_log FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.audit_log IS 'What admins did, what changed about users, and every fact about money, in the order of the log. Nobody changes a row; each is hashed with the one before it in its chain, one chain a partition of the log.';

COMMENT ON COLUMN botpulse.audit_log.seq IS 'The place in the chain of this topic and partition, from 1 without a gap.';

COMMENT ON COLUMN botpulse.audit_log.format IS 'Which members the hash covers, and how they are written.';

COMMENT ON COLUMN botpulse.audit_log.log_offset IS 'The record on the log that this row is about.';

COMMENT ON COLUMN botpulse.audit_log.occurred_at IS 'The event''s own time; the chain follows the log, which a late event enters late.';

COMMENT ON COLUMN botpulse.audit_log.kind IS 'The event''s type without prefix and version: payment.refunded and so on.';

COMMENT ON COLUMN botpulse.audit_log.telegram_id IS 'The user whom the event is about; of an admin''s action the admin.';

COMMENT ON COLUMN botpulse.audit_log.outcome IS 'applied; without_effect (known before, or a later word counts); conflict (the same charge, refund, dispute or attempt with another amount: refused).';

COMMENT ON COLUMN botpulse.audit_log.before IS 'Of a user''s change the fields that changed, as the tables had them when the event was read.';

COMMENT ON COLUMN botpulse.audit_log.after IS 'The same fields after it; of money and admin actions what the event says.';

COMMENT ON COLUMN botpulse.audit_log.hash IS 'sha256() of the hash before it (nothing for the first) followed by the row as JSON array, in UTF-8: format, topic, log_partition, seq, log_offset, microseconds of occurred_at, kind, telegram_id, source, event_id, outcome, before, after.';

CREATE TABLE botpulse.checkpoints (
    topic text NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL,
    next_offset bigint NOT NULL,
    last_offset bigint,
    record_digest bytea,
    last_appended_at timestamp with time zone,
    events_applied bigint DEFAULT 0 NOT NULL,
    duplicates bigint DEFAULT 0 NOT NULL,
    invalid bigint DEFAULT 0 NOT NULL,
    refused bigint DEFAULT 0 NOT NULL,
    owner text NOT NULL,
    backend_pid integer NOT NULL,
    backend_start timestamp with time zone NOT NULL,
    claimed_at timestamp with time zone NOT NULL,
    moved_at timestamp with time zone NOT NULL,
    CONSTRAINT checkpoints_check CHECK ((last_offset < next_offset)),
    CONSTRAINT checkpoints_check1 CHECK (((last_offset IS NULL) = (record_digest IS NULL))),
    CONSTRAINT checkpoints_check2 CHECK (((last_offset IS NULL) = (last_appended_at IS NULL))),
    CONSTRAINT checkpoints_epoch_check CHECK ((epoch > 0)),
    CONSTRAINT checkpoints_next_offset_check CHECK ((next_offset >= 0)),
    CONSTRAINT checkpoints_partition_check CHECK ((partition >= 0)),
    CONSTRAINT checkpoints_record_digest_check CHECK ((length(record_digest) = 16))
)
WITH (fillfactor='50');

ALTER TABLE ONLY botpulse.checkpoints FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.checkpoints IS 'How far each partition of the log is applied. Moves in the same transaction as the rows.';

COMMENT ON COLUMN botpulse.checkpoints.epoch IS 'Counts the claims; a writer with an older epoch is fenced out.';

COMMENT ON COLUMN botpulse.checkpoints.next_offset IS 'The first offset that is not applied yet.';

COMMENT ON COLUMN botpulse.checkpoints.last_offset IS 'The offset of the last record that was read; transaction markers and gaps may lie between it and next_offset.';

COMMENT ON COLUMN botpulse.checkpoints.record_digest IS 'A digest of the record at last_offset: proof that this checkpoint belongs to this log.';

COMMENT ON COLUMN botpulse.checkpoints.last_appended_at IS 'The broker''s time of the record at last_offset.';

COMMENT ON COLUMN botpulse.checkpoints.events_applied IS 'Events folded into the tables since offset 0.';

COMMENT ON COLUMN botpulse.checkpoints.duplicates IS 'Events skipped since offset 0 because the same source, id and time had been applied before.';

COMMENT ON COLUMN botpulse.checkpoints.invalid IS 'Records skipped since offset 0 because the contract refuses them.';

COMMENT ON COLUMN botpulse.checkpoints.refused IS 'Events since offset 0 whose rows the database refused; each is in refused_events.';

COMMENT ON COLUMN botpulse.checkpoints.owner IS 'The worker that claimed the partition last: host and process id.';

COMMENT ON COLUMN botpulse.checkpoints.backend_pid IS 'The owner''s database backend; with backend_start it names the one that a successor may terminate.';

COMMENT ON COLUMN botpulse.checkpoints.claimed_at IS 'When the owner claimed the partition, by the database''s clock.';

COMMENT ON COLUMN botpulse.checkpoints.moved_at IS 'When next_offset moved last, by the database''s clock.';

CREATE VIEW botpulse.churn_warnings WITH (security_invoker='true') AS
 SELECT u.telegram_id,
    u.username,
    u.current_tier,
    round(((u.total_spent_cents)::numeric / 100.0), 2) AS total_spent_dollars,
    u.purchase_count,
    u.message_credits,
    u.last_active,
    (u.last_active + t.active_within) AS inactive_since,
    u.is_blocked
   FROM (botpulse.users u
     CROSS JOIN ( SELECT activity_thresholds.within AS active_within,
            (now() - activity_thresholds.within) AS latest,
            ((now() - activity_thresholds.within) - '7 days'::interval) AS earliest
           FROM botpulse.activity_thresholds
          WHERE (activity_thresholds.status = 'active'::text)) t)
  WHERE ((u.purchase_count > 0) AND ((u.last_active_day >= ((t.earliest AT TIME ZONE 'UTC'::text))::date) AND (u.last_active_day <= ((t.latest AT TIME ZONE 'UTC'::text))::date)) AND (u.last_active >= t.earliest) AND (u.last_active < t.latest));

COMMENT ON VIEW botpulse.churn_warnings IS 'Paying users who turned inactive in the last 7 days, as of now: an early warning, while there is time to win them back.';

COMMENT ON COLUMN botpulse.churn_warnings.inactive_since IS 'When the user stopped to count as active.';

CREATE TABLE botpulse.user_message_counts (
    telegram_id bigint NOT NULL,
    kind_text integer NOT NULL,
    kind_command integer NOT NULL,
    kind_callback integer NOT NULL,
    kind_photo integer NOT NULL,
    kind_voice integer NOT NULL,
    kind_video integer NOT NULL,
    kind_sticker integer NOT NULL,
    kind_document integer NOT NULL,
    kind_other integer NOT NULL,
    hour_00 integer NOT NULL,
    hour_01 integer NOT NULL,
    hour_02 integer NOT NULL,
    hour_03 integer NOT NULL,
    hour_04 integer NOT NULL,
    hour_05 integer NOT NULL,
    hour_06 integer NOT NULL,
    hour_07 integer NOT NULL,
    hour_08 integer NOT NULL,
    hour_09 integer NOT NULL,
    hour_10 integer NOT NULL,
    hour_11 integer NOT NULL,
    hour_12 integer NOT NULL,
    hour_13 integer NOT NULL,
    hour_14 integer NOT NULL,
    hour_15 integer NOT NULL,
    hour_16 integer NOT NULL,
    hour_17 integer NOT NULL,
    hour_18 integer NOT NULL,
    hour_19 integer NOT NULL,
    hour_20 integer NOT NULL,
    hour_21 integer NOT NULL,
    hour_22 integer NOT NULL,
    hour_23 integer NOT NULL,
    CONSTRAINT user_message_counts_hour_00_check CHECK ((hour_00 >= 0)),
    CONSTRAINT user_message_counts_hour_01_check CHECK ((hour_01 >= 0)),
    CONSTRAINT user_message_counts_hour_02_check CHECK ((hour_02 >= 0)),
    CONSTRAINT user_message_counts_hour_03_check CHECK ((hour_03 >= 0)),
    CONSTRAINT user_message_counts_hour_04_check CHECK ((hour_04 >= 0)),
    CONSTRAINT user_message_counts_hour_05_check CHECK ((hour_05 >= 0)),
    CONSTRAINT user_message_counts_hour_06_check CHECK ((hour_06 >= 0)),
    CONSTRAINT user_message_counts_hour_07_check CHECK ((hour_07 >= 0)),
    CONSTRAINT user_message_counts_hour_08_check CHECK ((hour_08 >= 0)),
    CONSTRAINT user_message_counts_hour_09_check CHECK ((hour_09 >= 0)),
    CONSTRAINT user_message_counts_hour_10_check CHECK ((hour_10 >= 0)),
    CONSTRAINT user_message_counts_hour_11_check CHECK ((hour_11 >= 0)),
    CONSTRAINT user_message_counts_hour_12_check CHECK ((hour_12 >= 0)),
    CONSTRAINT user_message_counts_hour_13_check CHECK ((hour_13 >= 0)),
    CONSTRAINT user_message_counts_hour_14_check CHECK ((hour_14 >= 0)),
    CONSTRAINT user_message_counts_hour_15_check CHECK ((hour_15 >= 0)),
    CONSTRAINT user_message_counts_hour_16_check CHECK ((hour_16 >= 0)),
    CONSTRAINT user_message_counts_hour_17_check CHECK ((hour_17 >= 0)),
    CONSTRAINT user_message_counts_hour_18_check CHECK ((hour_18 >= 0)),
    CONSTRAINT user_message_counts_hour_19_check CHECK ((hour_19 >= 0)),
    CONSTRAINT user_message_counts_hour_20_check CHECK ((hour_20 >= 0)),
    CONSTRAINT user_message_counts_hour_21_check CHECK ((hour_21 >= 0)),
    CONSTRAINT user_message_counts_hour_22_check CHECK ((hour_22 >= 0)),
    CONSTRAINT user_message_counts_hour_23_check CHECK ((hour_23 >= 0)),
    CONSTRAINT user_message_counts_kind_callback_check CHECK ((kind_callback >= 0)),
    CONSTRAINT user_message_counts_kind_command_check CHECK ((kind_command >= 0)),
    CONSTRAINT user_message_counts_kind_document_check CHECK ((kind_document >= 0)),
    CONSTRAINT user_message_counts_kind_other_check CHECK ((kind_other >= 0)),
    CONSTRAINT user_message_counts_kind_photo_check CHECK ((kind_photo >= 0)),
    CONSTRAINT user_message_counts_kind_sticker_check CHECK ((kind_sticker >= 0)),
    CONSTRAINT user_message_counts_kind_text_check CHECK ((kind_text >= 0)),
    CONSTRAINT user_message_counts_kind_video_check CHECK ((kind_video >= 0)),
    CONSTRAINT user_message_counts_kind_voice_check CHECK ((kind_voice >= 0))
)
WITH (fillfactor='80');

ALTER TABLE ONLY botpulse.user_message_counts FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.user_message_counts IS 'Messages received of each user, by kind (kind_text and so on) and by hour of the UTC day (hour_00 and so on): each message counts in one column of either.';

CREATE VIEW botpulse.communication_preferences WITH (security_invoker='true') AS
 SELECT c.telegram_id,
        CASE GREATEST(c.kind_text, c.kind_command, c.kind_callback, c.kind_photo, c.kind_voice, c.kind_video, c.kind_sticker, c.kind_document, c.kind_other)
            WHEN c.kind_text THEN 'text'::text
            WHEN c.kind_command THEN 'command'::text
            WHEN c.kind_callback THEN 'callback'::text
            WHEN c.kind_photo THEN 'photo'::text
            WHEN c.kind_voice THEN 'voice'::text
            WHEN c.kind_video THEN 'video'::text
            WHEN c.kind_sticker THEN 'sticker'::text
            WHEN c.kind_document THEN 'document'::text
            WHEN c.kind_other THEN 'other'::text
            ELSE NULL::text
        END AS preferred_kind,
        CASE GREATEST(c.hour_00, c.hour_01, c.hour_02, c.hour_03, c.hour_04, c.hour_05, c.hour_06, c.hour_07, c.hour_08, c.hour_09, c.hour_10, c.hour_11, c.hour_12, c.hour_13, c.hour_14, c.hour_15, c.hour_16, c.hour_17, c.hour_18, c.hour_19, c.hour_20, c.hour_21, c.hour_22, c.hour_23)
            WHEN c.hour_00 THEN 0
            WHEN c.hour_01 THEN 1
            WHEN c.hour_02 THEN 2
            WHEN c.hour_03 THEN 3
            WHEN c.hour_04 THEN 4
            WHEN c.hour_05 THEN 5
            WHEN c.hour_06 THEN 6
            WHEN c.hour_07 THEN 7
            WHEN c.hour_08 THEN 8
            WHEN c.hour_09 THEN 9
            WHEN c.hour_10 THEN 10
            WHEN c.hour_11 THEN 11
            WHEN c.hour_12 THEN 12
            WHEN c.hour_13 THEN 13
            WHEN c.hour_14 THEN 14
            WHEN c.hour_15 THEN 15
            WHEN c.hour_16 THEN 16
            WHEN c.hour_17 THEN 17
            WHEN c.hour_18 THEN 18
            WHEN c.hour_19 THEN 19
            WHEN c.hour_20 THEN 20
            WHEN c.hour_21 THEN 21
            WHEN c.hour_22 THEN 22
            WHEN c.hour_23 THEN 23
            ELSE NULL::integer
        END AS preferred_hour,
    round(((c.kind_command)::numeric / (m.messages)::numeric), 4) AS command_share,
    m.messages
   FROM (botpulse.user_message_counts c
     CROSS JOIN LATERAL ( SELECT (((((((((c.kind_text)::bigint + (c.kind_command)::bigint) + (c.kind_callback)::bigint) + (c.kind_photo)::bigint) + (c.kind_voice)::bigint) + (c.kind_video)::bigint) + (c.kind_sticker)::bigint) + (c.kind_document)::bigint) + (c.kind_other)::bigint) AS messages) m);

COMMENT ON VIEW botpulse.communication_preferences IS 'How each user writes to the bot: one row a user with a message.';

COMMENT ON COLUMN botpulse.communication_preferences.preferred_kind IS 'The kind of most messages; of equals the first of text, command, callback, photo, voice, video, sticker, document, other.';

COMMENT ON COLUMN botpulse.communication_preferences.preferred_hour IS 'The hour of the UTC day with most messages; of equals the earliest.';

COMMENT ON COLUMN botpulse.communication_preferences.command_share IS 'Commands as a share of all messages, 0 to 1.';

COMMENT ON COLUMN botpulse.communication_preferences.messages IS 'Messages received.';

CREATE TABLE botpulse.content_buyers (
    content_id text NOT NULL,
    telegram_id bigint NOT NULL
);

ALTER TABLE ONLY botpulse.content_buyers FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.content_buyers IS 'Which users have unlocked which content items, each pair once.';

CREATE TABLE botpulse.content_items (
    content_id text NOT NULL,
    content_type text,
    title text,
    price_cents bigint,
    price_credits bigint,
    first_fact_at timestamp with time zone NOT NULL,
    offers bigint NOT NULL,
    views bigint NOT NULL,
    unlocks bigint NOT NULL,
    unique_buyers bigint NOT NULL,
    revenue_cents bigint NOT NULL,
    described_at timestamp with time zone,
    title_at timestamp with time zone,
    price_credits_at timestamp with time zone,
    CONSTRAINT content_items_check CHECK (((unique_buyers >= 0) AND (unique_buyers <= unlocks))),
    CONSTRAINT content_items_check1 CHECK ((num_nonnulls(content_type, price_cents, described_at) = ANY (ARRAY[0, 3]))),
    CONSTRAINT content_items_check2 CHECK (((title IS NULL) OR (title_at IS NOT NULL))),
    CONSTRAINT content_items_check3 CHECK (((price_credits IS NULL) OR (price_credits_at IS NOT NULL))),
    CONSTRAINT content_items_content_id_check CHECK (((length(content_id) >= 1) AND (length(content_id) <= 512))),
    CONSTRAINT content_items_content_type_check CHECK ((content_type = ANY (ARRAY['photo'::text, 'video'::text, 'audio'::text, 'text'::text, 'bundle'::text, 'other'::text]))),
    CONSTRAINT content_items_credits_limits CHECK (((price_credits >= 0) AND (price_credits <= 1000000))),
    CONSTRAINT content_items_offers_check CHECK ((offers >= 0)),
    CONSTRAINT content_items_price_limits CHECK (((price_cents >= 0) AND (price_cents <= 100000))),
    CONSTRAINT content_items_revenue_cents_check CHECK ((revenue_cents >= 0)),
    CONSTRAINT content_items_title_check CHECK ((length(title) <= 256)),
    CONSTRAINT content_items_unlocks_check CHECK ((unlocks >= 0)),
    CONSTRAINT content_items_views_check CHECK ((views >= 0))
)
WITH (fillfactor='50');

ALTER TABLE ONLY botpulse.content_items FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.content_items IS 'One row a content item, with what its users did with it. Seen first through an offer, a view or an unlock, an item has no type and price until it is published.';

COMMENT ON COLUMN botpulse.content_items.price_cents IS 'The current price in US cents; an unlock keeps the price that it was made at.';

COMMENT ON COLUMN botpulse.content_items.first_fact_at IS 'The earliest event about the item: published, changed, offered, viewed or unlocked.';

COMMENT ON COLUMN botpulse.content_items.unique_buyers IS 'Users who unlocked the item, each once (content_buyers).';

COMMENT ON COLUMN botpulse.content_items.revenue_cents IS 'The value in money of all unlocks, however they were paid.';

COMMENT ON COLUMN botpulse.content_items.described_at IS 'The time of the event that gave type and price: the latest counts.';

COMMENT ON COLUMN botpulse.content_items.title_at IS 'The time of the event that gave or cleared the title; so does price_credits_at for price_credits.';

CREATE VIEW botpulse.content_performance WITH (security_invoker='true') AS
 SELECT content_id,
    content_type,
    title,
    round(((price_cents)::numeric / 100.0), 2) AS price,
    price_credits,
    offers,
    views,
    unlocks,
    unique_buyers,
    round(((revenue_cents)::numeric / 100.0), 2) AS total_revenue,
    round(((100.0 * (unlocks)::numeric) / (NULLIF(views, 0))::numeric), 2) AS purchase_rate_percent,
    round(((unlocks)::numeric / GREATEST((1)::numeric, (EXTRACT(epoch FROM (now() - first_fact_at)) / (86400)::numeric))), 4) AS purchases_per_day,
    first_fact_at
   FROM botpulse.content_items;

COMMENT ON VIEW botpulse.content_performance IS 'How each content item sells, as of now; money in US dollars.';

COMMENT ON COLUMN botpulse.content_performance.price IS 'The current price.';

COMMENT ON COLUMN botpulse.content_performance.total_revenue IS 'The value of all unlocks at the price of each, however they were paid.';

COMMENT ON COLUMN botpulse.content_performance.purchase_rate_percent IS 'Unlocks as a percentage of views; null without views. Above 100 where items are unlocked without a view.';

COMMENT ON COLUMN botpulse.content_performance.purchases_per_day IS 'Unlocks by the days since the item''s first fact, at least one day.';

CREATE TABLE botpulse.daily_metrics (
    date date NOT NULL,
    active_users bigint NOT NULL,
    new_users bigint NOT NULL,
    messages_received bigint NOT NULL,
    messages_sent bigint NOT NULL,
    revenue_cents bigint NOT NULL,
    refunded_cents bigint NOT NULL,
    dispute_lost_cents bigint NOT NULL,
    net_revenue_cents bigint GENERATED ALWAYS AS (((revenue_cents - refunded_cents) - dispute_lost_cents)) STORED NOT NULL,
    successful_payments bigint NOT NULL,
    failed_payments bigint NOT NULL,
    auto_recharge_triggers bigint NOT NULL,
    content_unlocks bigint NOT NULL,
    credits_spent bigint NOT NULL,
    new_disputes bigint NOT NULL,
    CONSTRAINT daily_metrics_active_users_check CHECK ((active_users >= 0)),
    CONSTRAINT daily_metrics_auto_recharge_triggers_check CHECK ((auto_recharge_triggers >= 0)),
    CONSTRAINT daily_metrics_content_unlocks_check CHECK ((content_unlocks >= 0)),
    CONSTRAINT daily_metrics_credits_spent_check CHECK ((credits_spent >= 0)),
    CONSTRAINT daily_metrics_dispute_lost_cents_check CHECK ((dispute_lost_cents >= 0)),
    CONSTRAINT daily_metrics_failed_payments_check CHECK ((failed_payments >= 0)),
    CONSTRAINT daily_metrics_messages_received_check CHECK ((messages_received >= 0)),
    CONSTRAINT daily_metrics_messages_sent_check CHECK ((messages_sent >= 0)),
    CONSTRAINT daily_metrics_new_disputes_check CHECK ((new_disputes >= 0)),
    CONSTRAINT daily_metrics_new_users_check CHECK ((new_users >= 0)),
    CONSTRAINT daily_metrics_refunded_cents_check CHECK ((refunded_cents >= 0)),
    CONSTRAINT daily_metrics_revenue_cents_check CHECK ((revenue_cents >= 0)),
    CONSTRAINT daily_metrics_successful_payments_check CHECK ((successful_payments >= 0))
)
WITH (fillfactor='50');

ALTER TABLE ONLY botpulse.daily_metrics FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.daily_metrics IS 'One row a UTC day on which something was counted, by the time of the events.';

COMMENT ON COLUMN botpulse.daily_metrics.active_users IS 'Users with an own action that day.';

COMMENT ON COLUMN botpulse.daily_metrics.new_users IS 'Users whose earliest registration was that day.';

COMMENT ON COLUMN botpulse.daily_metrics.revenue_cents IS 'Gross: the amounts of the day''s charges.';

COMMENT ON COLUMN botpulse.daily_metrics.refunded_cents IS 'Refunds of that day, as sent, of charges that are known.';

COMMENT ON COLUMN botpulse.daily_metrics.dispute_lost_cents IS 'What disputes lost that day took from charges that are known.';

COMMENT ON COLUMN botpulse.daily_metrics.net_revenue_cents IS 'revenue_cents less refunded_cents less dispute_lost_cents.';

COMMENT ON COLUMN botpulse.daily_metrics.new_disputes IS 'Disputes opened that day, their charge known or not.';

CREATE TABLE botpulse.dead_letters (
    topic text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    stage text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    appended_at timestamp with time zone NOT NULL,
    letter_partition integer NOT NULL,
    letter_offset bigint NOT NULL,
    CONSTRAINT dead_letters_letter_offset_check CHECK ((letter_offset >= 0)),
    CONSTRAINT dead_letters_letter_partition_check CHECK ((letter_partition >= 0)),
    CONSTRAINT dead_letters_log_offset_check CHECK ((log_offset >= 0)),
    CONSTRAINT dead_letters_partition_check CHECK ((partition >= 0)),
    CONSTRAINT dead_letters_stage_check CHECK ((stage = ANY (ARRAY['streams'::text, 'projections'::text])))
);

ALTER TABLE ONLY botpulse.dead_letters FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.dead_letters IS 'One row a record of the log that a stage refused, as the first letter about it says.';

COMMENT ON COLUMN botpulse.dead_letters.topic IS 'With partition and log_offset: the place of the refused record.';

COMMENT ON COLUMN botpulse.dead_letters.detail IS 'What is wrong; never a quotation from the record.';

COMMENT ON COLUMN botpulse.dead_letters.appended_at IS 'The broker''s time of the letter.';

COMMENT ON COLUMN botpulse.dead_letters.letter_offset IS 'With letter_partition: the place of the letter itself, where the record''s bytes are.';

CREATE TABLE botpulse.direct_edits (
    number bigint NOT NULL,
    edited_at timestamp with time zone NOT NULL,
    login text NOT NULL,
    acting_as text NOT NULL,
    application text NOT NULL,
    table_name text NOT NULL,
    operation text NOT NULL,
    before jsonb,
    after jsonb,
    CONSTRAINT direct_edits_operation_check CHECK ((operation = ANY (ARRAY['INSERT'::text, 'UPDATE'::text, 'DELETE'::text, 'TRUNCATE'::text])))
);

ALTER TABLE ONLY botpulse.direct_edits FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.direct_edits IS 'Rows of projected tables that a person changed by hand, one row each. A rebuild undoes such a change.';

COMMENT ON COLUMN botpulse.direct_edits.edited_at IS 'When, by the database''s clock.';

COMMENT ON COLUMN botpulse.direct_edits.login IS 'Who had logged in.';

COMMENT ON COLUMN botpulse.direct_edits.acting_as IS 'The role that the login had taken on, else the login itself.';

COMMENT ON COLUMN botpulse.direct_edits.application IS 'What the client called itself.';

COMMENT ON COLUMN botpulse.direct_edits.before IS 'The row before; null for an insert and for a truncation, which names no rows.';

COMMENT ON COLUMN botpulse.direct_edits.after IS 'The row after; null for a deletion.';

ALTER TABLE botpulse.direct_edits ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME botpulse.direct_edits_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE botpulse.maintenance_settings (
    setting text NOT NULL,
    value text NOT NULL,
    default_value text NOT NULL,
    "least" bigint NOT NULL,
    most bigint NOT NULL,
    or_forever boolean NOT NULL,
    meaning text NOT NULL,
    CONSTRAINT maintenance_settings_check CHECK ((most >= "least"))
);

ALTER TABLE ONLY botpulse.maintenance_settings FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.maintenance_settings IS 'How long rows are kept, and when health warns. Changed by set_maintenance_setting(setting, value), which checks the value; whoever reads one checks it again.';

COMMENT ON COLUMN botpulse.maintenance_settings.value IS 'A whole number from least to most; also forever, where or_forever says so.';

CREATE TABLE botpulse.message_patterns (
    weekday integer NOT NULL,
    hour integer NOT NULL,
    kind text NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT message_patterns_hour_check CHECK (((hour >= 0) AND (hour <= 23))),
    CONSTRAINT message_patterns_kind_check CHECK ((kind = ANY (ARRAY['text'::text, 'command'::text, 'callback'::text, 'photo'::text, 'voice'::text, 'video'::text, 'sticker'::text, 'document'::text, 'other'::text]))),
    CONSTRAINT message_patterns_messages_check CHECK ((messages > 0)),
    CONSTRAINT message_patterns_weekday_check CHECK (((weekday >= 1) AND (weekday <= 7)))
)
WITH (fillfactor='50');

ALTER TABLE ONLY botpulse.message_patterns FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.message_patterns IS 'Messages received, by weekday, hour and kind, over all users and all time. No user is in it.';

COMMENT ON COLUMN botpulse.message_patterns.weekday IS 'Of the UTC day: 1 is Monday, 7 is Sunday.';

COMMENT ON COLUMN botpulse.message_patterns.hour IS 'Of the UTC day, 0 to 23.';

COMMENT ON COLUMN botpulse.message_patterns.messages IS 'Messages received. An hour and kind without any has no row.';

CREATE VIEW botpulse.monthly_growth WITH (security_invoker='true') AS
 WITH months AS (
         SELECT (date_trunc('month'::text, (daily_metrics.date)::timestamp without time zone))::date AS month,
            (sum(daily_metrics.new_users))::bigint AS new_users,
            (sum(daily_metrics.revenue_cents))::bigint AS revenue_cents,
            (sum(daily_metrics.net_revenue_cents))::bigint AS net_revenue_cents
           FROM botpulse.daily_metrics
          GROUP BY ((date_trunc('month'::text, (daily_metrics.date)::timestamp without time zone))::date)
        )
 SELECT m.month,
    m.new_users,
    round(((m.revenue_cents)::numeric / 100.0), 2) AS revenue,
    round(((m.net_revenue_cents)::numeric / 100.0), 2) AS net_revenue,
    round(((100.0 * ((m.new_users - b.new_users))::numeric) / (NULLIF(b.new_users, 0))::numeric), 2) AS new_users_growth_percent,
    round(((100.0 * ((m.revenue_cents - b.revenue_cents))::numeric) / (NULLIF(b.revenue_cents, 0))::numeric), 2) AS revenue_growth_percent
   FROM (months m
     LEFT JOIN months b ON ((b.month = ((m.month - '1 mon'::interval))::date)));

COMMENT ON VIEW botpulse.monthly_growth IS 'New users and revenue by UTC month, in US dollars, and how both grew over the month before.';

COMMENT ON COLUMN botpulse.monthly_growth.revenue_growth_percent IS 'Null where the month before brought nothing.';

CREATE TABLE botpulse.purchase_triggers (
    event_type text NOT NULL,
    purchases bigint NOT NULL,
    revenue_cents bigint NOT NULL,
    CONSTRAINT purchase_triggers_event_type_check CHECK ((event_type = ANY (ARRAY['message.received'::text, 'credits.spent'::text, 'payment.succeeded'::text, 'content.viewed'::text, 'content.unlocked'::text, 'content.offered'::text]))),
    CONSTRAINT purchase_triggers_purchases_check CHECK ((purchases >= 0)),
    CONSTRAINT purchase_triggers_revenue_cents_check CHECK ((revenue_cents >= 0))
)
WITH (fillfactor='50');

ALTER TABLE ONLY botpulse.purchase_triggers FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.purchase_triggers IS 'What users did, or were offered, in the 30 minutes before a purchase: each kind of event among it gets the whole purchase, once.';

COMMENT ON COLUMN botpulse.purchase_triggers.event_type IS 'The type of the event: botpulse.<event_type>.v1.';

COMMENT ON COLUMN botpulse.purchase_triggers.purchases IS 'Charges, gross, with such an event of the same user up to 30 minutes before; at the same moment is not before.';

COMMENT ON COLUMN botpulse.purchase_triggers.revenue_cents IS 'The amounts of these charges. A charge counts for several types: the rows don''t add up to the revenue.';

CREATE VIEW botpulse.referral_effectiveness WITH (security_invoker='true') AS
 SELECT referrer.telegram_id,
    referrer.username,
    count(*) AS referrals_made,
    count(*) FILTER (WHERE (referred.purchase_count > 0)) AS referrals_paying,
    round(((100.0 * (count(*) FILTER (WHERE (referred.purchase_count > 0)))::numeric) / (count(*))::numeric), 2) AS paying_percent,
    round((sum(referred.total_spent_cents) / 100.0), 2) AS referred_revenue
   FROM (botpulse.users referrer
     JOIN botpulse.users referred ON ((referred.referred_by = referrer.telegram_id)))
  GROUP BY referrer.telegram_id, referrer.username;

COMMENT ON VIEW botpulse.referral_effectiveness IS 'One row a user who brought others, with what those have spent, in US dollars.';

COMMENT ON COLUMN botpulse.referral_effectiveness.referrals_paying IS 'Referred users with a purchase of which something is left.';

CREATE TABLE botpulse.refused_events (
    topic text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    appended_at timestamp with time zone NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    decided_by text,
    decided_at timestamp with time zone,
    note text,
    CONSTRAINT refused_events_decided_by_check CHECK (((length(decided_by) >= 1) AND (length(decided_by) <= 200))),
    CONSTRAINT refused_events_decision CHECK (
CASE num_nonnulls(decided_by, decided_at, note)
    WHEN 0 THEN (state <> 'accepted'::text)
    WHEN 3 THEN (state <> 'open'::text)
    ELSE false
END),
    CONSTRAINT refused_events_note_check CHECK (((length(note) >= 1) AND (length(note) <= 2000))),
    CONSTRAINT refused_events_state_check CHECK ((state = ANY (ARRAY['open'::text, 'redriven'::text, 'accepted'::text])))
);

ALTER TABLE ONLY botpulse.refused_events FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.refused_events IS 'Events whose rows the database refused. The service is not ready while one is open.';

COMMENT ON COLUMN botpulse.refused_events.state IS 'open; accepted (a person decided to leave it out); redriven (a copy was applied, perhaps after all).';

COMMENT ON COLUMN botpulse.refused_events.decided_by IS 'The person who accepted that the event stays out of the tables.';

COMMENT ON COLUMN botpulse.refused_events.decided_at IS 'When, by the database''s clock.';

COMMENT ON COLUMN botpulse.refused_events.note IS 'Why.';

CREATE TABLE botpulse.retention_horizons (
    table_name text NOT NULL,
    horizon timestamp with time zone NOT NULL,
    removed_rows bigint NOT NULL,
    cleaned_at timestamp with time zone NOT NULL,
    CONSTRAINT retention_horizons_removed_rows_check CHECK ((removed_rows >= 0))
);

ALTER TABLE ONLY botpulse.retention_horizons FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.retention_horizons IS 'From when on the rows of a table are kept. Older facts count in every total; their rows are never written again, nor by a rebuild.';

COMMENT ON COLUMN botpulse.retention_horizons.removed_rows IS 'How many rows cleanup_old_data() has ever removed.';

COMMENT ON COLUMN botpulse.retention_horizons.cleaned_at IS 'When it looked at the table last.';

CREATE VIEW botpulse.revenue_dashboard WITH (security_invoker='true') AS
 SELECT date,
    round(((revenue_cents)::numeric / 100.0), 2) AS total_revenue,
    round(((net_revenue_cents)::numeric / 100.0), 2) AS net_revenue,
    round(((refunded_cents)::numeric / 100.0), 2) AS refunded,
    round(((dispute_lost_cents)::numeric / 100.0), 2) AS dispute_lost,
    (successful_payments + failed_payments) AS transactions,
    successful_payments AS successful,
    failed_payments AS failed,
    round(((100.0 * (successful_payments)::numeric) / (NULLIF((successful_payments + failed_payments), 0))::numeric), 2) AS success_rate_percent,
    new_disputes
   FROM botpulse.daily_metrics;

COMMENT ON VIEW botpulse.revenue_dashboard IS 'Revenue in US dollars and attempts to pay by UTC day.';

COMMENT ON COLUMN botpulse.revenue_dashboard.transactions IS 'Attempts to pay, succeeded and failed.';

COMMENT ON COLUMN botpulse.revenue_dashboard.success_rate_percent IS 'Succeeded attempts of all attempts; null on a day without any.';

CREATE TABLE botpulse.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    CONSTRAINT schema_migrations_checksum_check CHECK ((checksum ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT schema_migrations_version_check CHECK ((version > 0))
);

ALTER TABLE ONLY botpulse.schema_migrations FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.schema_migrations IS 'The migrations that this database has, with the SHA-256 of each file.';

CREATE TABLE botpulse.subscriptions (
    telegram_id bigint NOT NULL,
    subscription_id text NOT NULL,
    status text NOT NULL,
    plan text,
    amount_cents bigint,
    charge_id text,
    expires_at timestamp with time zone,
    started_at timestamp with time zone,
    renewals bigint NOT NULL,
    status_at timestamp with time zone NOT NULL,
    plan_at timestamp with time zone,
    amount_cents_at timestamp with time zone,
    charge_id_at timestamp with time zone,
    expires_at_at timestamp with time zone,
    CONSTRAINT subscriptions_amount_limits CHECK (((amount_cents >= 0) AND (amount_cents <= 1000000))),
    CONSTRAINT subscriptions_check CHECK (((plan IS NULL) OR (plan_at IS NOT NULL))),
    CONSTRAINT subscriptions_check1 CHECK (((amount_cents IS NULL) OR (amount_cents_at IS NOT NULL))),
    CONSTRAINT subscriptions_check2 CHECK (((charge_id IS NULL) OR (charge_id_at IS NOT NULL))),
    CONSTRAINT subscriptions_check3 CHECK (((expires_at IS NULL) OR (expires_at_at IS NOT NULL))),
    CONSTRAINT subscriptions_renewals_check CHECK ((renewals >= 0)),
    CONSTRAINT subscriptions_status_check CHECK ((status = ANY (ARRAY['active'::text, 'cancelled'::text, 'payment_failed'::text]))),
    CONSTRAINT subscriptions_subscription_id_check CHECK (((length(subscription_id) >= 1) AND (length(subscription_id) <= 512)))
);

ALTER TABLE ONLY botpulse.subscriptions FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.subscriptions IS 'One row a subscription of a user, as its latest events say. What it brought is counted from payments.';

COMMENT ON COLUMN botpulse.subscriptions.status IS 'By the latest event: active (started or renewed), cancelled or payment_failed.';

COMMENT ON COLUMN botpulse.subscriptions.charge_id IS 'A reference to the charge that paid for it last, if the bot gave one.';

COMMENT ON COLUMN botpulse.subscriptions.started_at IS 'The earliest start; null while only later events are known.';

COMMENT ON COLUMN botpulse.subscriptions.status_at IS 'The time of the event that gave the status; plan_at and so on are those of their fields.';

CREATE TABLE botpulse.table_sizes (
    table_name text NOT NULL,
    sampled_on date NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT table_sizes_bytes_check CHECK ((bytes >= 0))
);

ALTER TABLE ONLY botpulse.table_sizes FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.table_sizes IS 'How large each table was on a day, its indexes included; one sample a day, taken by `botpulse maintenance`.';

CREATE TABLE botpulse.tier_benefits (
    tier text NOT NULL,
    benefit text NOT NULL,
    value bigint NOT NULL,
    CONSTRAINT tier_benefits_value_check CHECK ((value >= 0))
);

ALTER TABLE ONLY botpulse.tier_benefits FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.tier_benefits IS 'What each tier brings under the current rules; written by the migration from the rules data.';

CREATE TABLE botpulse.tier_history (
    id text NOT NULL,
    telegram_id bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    previous text NOT NULL,
    current text NOT NULL,
    purchases bigint NOT NULL,
    spent_cents bigint NOT NULL,
    rules_version integer NOT NULL,
    caused_by jsonb NOT NULL,
    log_partition integer NOT NULL,
    log_offset bigint NOT NULL,
    CONSTRAINT tier_history_log_offset_check CHECK ((log_offset >= 0)),
    CONSTRAINT tier_history_log_partition_check CHECK ((log_partition >= 0)),
    CONSTRAINT tier_history_purchases_check CHECK ((purchases >= 0)),
    CONSTRAINT tier_history_rules_version_check CHECK ((rules_version > 0)),
    CONSTRAINT tier_history_spent_cents_check CHECK ((spent_cents >= 0))
);

ALTER TABLE ONLY botpulse.tier_history FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.tier_history IS 'The tier changes that streams sent, as they are on the log; log_offset orders those of a user.';

COMMENT ON COLUMN botpulse.tier_history.changed_at IS 'The broker''s time of the record that caused the change.';

COMMENT ON COLUMN botpulse.tier_history.caused_by IS 'source and id of the event that caused the change.';

CREATE VIEW botpulse.user_benefits WITH (security_invoker='true') AS
 SELECT u.telegram_id,
    u.username,
    u.current_tier,
    COALESCE(b.benefits, '{}'::jsonb) AS benefits
   FROM (botpulse.users u
     LEFT JOIN ( SELECT tier_benefits.tier,
            jsonb_object_agg(tier_benefits.benefit, tier_benefits.value) AS benefits
           FROM botpulse.tier_benefits
          GROUP BY tier_benefits.tier) b ON ((b.tier = u.current_tier)));

COMMENT ON VIEW botpulse.user_benefits IS 'What each user''s tier brings, under the current rules.';

COMMENT ON COLUMN botpulse.user_benefits.benefits IS 'Each benefit with its value (tier_benefits).';

CREATE VIEW botpulse.user_dashboard WITH (security_invoker='true') AS
 SELECT u.telegram_id,
    u.username,
    u.current_tier,
    round(((u.total_spent_cents)::numeric / 100.0), 2) AS total_spent_dollars,
    u.purchase_count,
    u.lifetime_messages,
    u.message_credits,
    u.last_active,
        CASE
            WHEN (s.silence <= ( SELECT activity_thresholds.within
               FROM botpulse.activity_thresholds
              WHERE (activity_thresholds.status = 'active'::text))) THEN 'active'::text
            WHEN (s.silence <= ( SELECT activity_thresholds.within
               FROM botpulse.activity_thresholds
              WHERE (activity_thresholds.status = 'inactive'::text))) THEN 'inactive'::text
            ELSE 'churned'::text
        END AS activity_status,
    u.auto_recharge_enabled,
    (
        CASE
            WHEN (u.is_blocked OR (s.silence IS NULL)) THEN (100)::numeric
            ELSE LEAST((100)::numeric, GREATEST((0)::numeric, floor((((100)::numeric * EXTRACT(epoch FROM s.silence)) / EXTRACT(epoch FROM ( SELECT activity_thresholds.within
               FROM botpulse.activity_thresholds
              WHERE (activity_thresholds.status = 'inactive'::text)))))))
        END)::integer AS churn_risk,
    u.registered_at,
    u.tier_changed_at,
    u.is_blocked
   FROM (botpulse.users u
     CROSS JOIN LATERAL ( SELECT (now() - COALESCE(u.last_active, u.registered_at)) AS silence) s);

COMMENT ON VIEW botpulse.user_dashboard IS 'Each user''s tier, lifetime value and activity, as of now. Of personal data the username only.';

COMMENT ON COLUMN botpulse.user_dashboard.total_spent_dollars IS 'What is left of all charges, in US dollars.';

COMMENT ON COLUMN botpulse.user_dashboard.activity_status IS 'active, inactive or churned by the time since the last own action, else since the registration (activity_thresholds).';

COMMENT ON COLUMN botpulse.user_dashboard.churn_risk IS '0 to 100: the time since the last sign of life as a percentage of the time after which a user counts as churned; 100 for one who blocked the bot.';

CREATE TABLE botpulse.user_field_times (
    telegram_id bigint NOT NULL,
    username_at timestamp with time zone,
    first_name_at timestamp with time zone,
    last_name_at timestamp with time zone,
    preferred_language_at timestamp with time zone,
    referral_code_at timestamp with time zone,
    is_premium_at timestamp with time zone,
    is_blocked_at timestamp with time zone,
    auto_recharge_enabled_at timestamp with time zone,
    auto_recharge_amount_cents_at timestamp with time zone,
    auto_recharge_credits_at timestamp with time zone,
    auto_recharge_threshold_credits_at timestamp with time zone,
    referred_at timestamp with time zone,
    referred_source text,
    referred_event_id text
);

ALTER TABLE ONLY botpulse.user_field_times FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.user_field_times IS 'When each field of a user was said: the latest wins. For the referrer the earliest event, which is named here.';

CREATE TABLE botpulse.user_offers (
    telegram_id bigint NOT NULL,
    date date NOT NULL,
    moments bytea NOT NULL,
    CONSTRAINT user_offers_moments_check CHECK (((length(moments) > 0) AND ((length(moments) % 8) = 0)))
)
WITH (fillfactor='80');

ALTER TABLE ONLY botpulse.user_offers FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.user_offers IS 'When content was offered to a user on a UTC day: no own action, but it may lead to a purchase.';

COMMENT ON COLUMN botpulse.user_offers.moments IS 'The offers in order of arrival, 8 bytes each: big-endian microseconds since 1970.';

CREATE VIEW botpulse.user_rolling WITH (security_invoker='true') AS
 SELECT u.telegram_id,
    h.messages_24h,
    h.purchases_24h,
    h.spend_cents_24h,
    h.credits_spent_24h,
    h.unlocks_24h,
    d.messages_7d,
    d.purchases_7d,
    d.spend_cents_7d,
    d.credits_spent_7d,
    d.unlocks_7d,
    d.messages_30d,
    d.purchases_30d,
    d.spend_cents_30d,
    d.credits_spent_30d,
    d.unlocks_30d
   FROM (((botpulse.users u
     CROSS JOIN LATERAL ( SELECT (date_trunc('hour'::text, now(), 'UTC'::text) - '23:00:00'::interval) AS since,
            (date_trunc('hour'::text, now(), 'UTC'::text) + '01:00:00'::interval) AS until,
            ((now() AT TIME ZONE 'UTC'::text))::date AS today) t)
     CROSS JOIN LATERAL ( SELECT count(*) FILTER (WHERE (a.kind = 1)) AS messages_24h,
            count(*) FILTER (WHERE (a.kind = 3)) AS purchases_24h,
            (COALESCE(sum(a.amount) FILTER (WHERE (a.kind = 3)), (0)::numeric))::bigint AS spend_cents_24h,
            (COALESCE(sum(a.amount) FILTER (WHERE (a.kind = 2)), (0)::numeric))::bigint AS credits_spent_24h,
            count(*) FILTER (WHERE (a.kind = 5)) AS unlocks_24h
           FROM (botpulse.user_days own
             CROSS JOIN LATERAL botpulse.unpack_actions(own.actions) a(occurred_at, kind, amount))
          WHERE ((own.telegram_id = u.telegram_id) AND ((own.date >= (t.today - 1)) AND (own.date <= t.today)) AND (a.occurred_at >= t.since) AND (a.occurred_at < t.until))) h)
     CROSS JOIN LATERAL ( SELECT (COALESCE(sum(own.messages_received) FILTER (WHERE (own.date > (t.today - 7))), (0)::numeric))::bigint AS messages_7d,
            (COALESCE(sum(own.purchases) FILTER (WHERE (own.date > (t.today - 7))), (0)::numeric))::bigint AS purchases_7d,
            (COALESCE(sum(own.spend_cents) FILTER (WHERE (own.date > (t.today - 7))), (0)::numeric))::bigint AS spend_cents_7d,
            (COALESCE(sum(own.credits_spent) FILTER (WHERE (own.date > (t.today - 7))), (0)::numeric))::bigint AS credits_spent_7d,
            (COALESCE(sum(own.unlocks) FILTER (WHERE (own.date > (t.today - 7))), (0)::numeric))::bigint AS unlocks_7d,
            (COALESCE(sum(own.messages_received), (0)::numeric))::bigint AS messages_30d,
            (COALESCE(sum(own.purchases), (0)::numeric))::bigint AS purchases_30d,
            (COALESCE(sum(own.spend_cents), (0)::numeric))::bigint AS spend_cents_30d,
            (COALESCE(sum(own.credits_spent), (0)::numeric))::bigint AS credits_spent_30d,
            (COALESCE(sum(own.unlocks), (0)::numeric))::bigint AS unlocks_30d
           FROM botpulse.user_days own
          WHERE ((own.telegram_id = u.telegram_id) AND (own.date > (t.today - 30)) AND (own.date <= t.today))) d);

COMMENT ON VIEW botpulse.user_rolling IS 'What each user did of late, as of now: the last 24 hours of the clock, and the last 7 and 30 UTC days, each with the current one. Purchases and spend are gross; what lies after the current hour or day is left out. Meant for some users at a time: each is worked out from the user''s days.';

COMMENT ON COLUMN botpulse.user_rolling.messages_24h IS 'Messages received since the begin of the hour 23 hours ago; the other columns of 24h, 7d and 30d alike.';

CREATE TABLE botpulse.verifications (
    finished_at timestamp with time zone NOT NULL,
    seconds numeric NOT NULL,
    records bigint NOT NULL,
    differences bigint NOT NULL,
    CONSTRAINT verifications_differences_check CHECK ((differences >= 0)),
    CONSTRAINT verifications_records_check CHECK ((records >= 0)),
    CONSTRAINT verifications_seconds_check CHECK ((seconds >= (0)::numeric))
);

ALTER TABLE ONLY botpulse.verifications FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE botpulse.verifications IS 'Each complete comparison of the log with the tables, as `botpulse verify` recorded it.';

COMMENT ON COLUMN botpulse.verifications.finished_at IS 'When it came to its end, by the database''s clock.';

COMMENT ON COLUMN botpulse.verifications.seconds IS 'How long it took.';

COMMENT ON COLUMN botpulse.verifications.records IS 'Records of the log that were folded.';

COMMENT ON COLUMN botpulse.verifications.differences IS 'Differences that were found; 0 when the tables are what the log says.';

ALTER TABLE ONLY botpulse.activity_thresholds
    ADD CONSTRAINT activity_thresholds_pkey PRIMARY KEY (status);

ALTER TABLE ONLY botpulse.applied_events
    ADD CONSTRAINT applied_events_pkey PRIMARY KEY (partition, hour, first_offset);

ALTER TABLE ONLY botpulse.audit_chains
    ADD CONSTRAINT audit_chains_pkey PRIMARY KEY (topic, log_partition);

ALTER TABLE ONLY botpulse.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (topic, log_partition, seq);

ALTER TABLE ONLY botpulse.auto_recharge_triggers
    ADD CONSTRAINT auto_recharge_triggers_pkey PRIMARY KEY (telegram_id, trigger_id);

ALTER TABLE ONLY botpulse.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY botpulse.content_buyers
    ADD CONSTRAINT content_buyers_pkey PRIMARY KEY (content_id, telegram_id);

ALTER TABLE ONLY botpulse.content_items
    ADD CONSTRAINT content_items_pkey PRIMARY KEY (content_id);

ALTER TABLE ONLY botpulse.daily_metrics
    ADD CONSTRAINT daily_metrics_pkey PRIMARY KEY (date);

ALTER TABLE ONLY botpulse.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (topic, partition, log_offset, stage);

ALTER TABLE ONLY botpulse.direct_edits
    ADD CONSTRAINT direct_edits_pkey PRIMARY KEY (number);

ALTER TABLE ONLY botpulse.hourly_metrics
    ADD CONSTRAINT hourly_metrics_pkey PRIMARY KEY (hour);

ALTER TABLE ONLY botpulse.maintenance_settings
    ADD CONSTRAINT maintenance_settings_pkey PRIMARY KEY (setting);

ALTER TABLE ONLY botpulse.message_patterns
    ADD CONSTRAINT message_patterns_pkey PRIMARY KEY (weekday, hour, kind);

ALTER TABLE ONLY botpulse.payment_analytics
    ADD CONSTRAINT payment_analytics_pkey PRIMARY KEY (telegram_id, provider, payment_status, payment_id);

ALTER TABLE ONLY botpulse.payment_disputes
    ADD CONSTRAINT payment_disputes_pkey PRIMARY KEY (telegram_id, provider, dispute_id);

ALTER TABLE ONLY botpulse.payment_refunds
    ADD CONSTRAINT payment_refunds_pkey PRIMARY KEY (telegram_id, provider, refund_id);

ALTER TABLE ONLY botpulse.purchase_triggers
    ADD CONSTRAINT purchase_triggers_pkey PRIMARY KEY (event_type);

ALTER TABLE ONLY botpulse.refused_events
    ADD CONSTRAINT refused_events_pkey PRIMARY KEY (topic, partition, log_offset);

ALTER TABLE ONLY botpulse.retention_horizons
    ADD CONSTRAINT retention_horizons_pkey PRIMARY KEY (table_name);

ALTER TABLE ONLY botpulse.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY botpulse.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (telegram_id, subscription_id);

ALTER TABLE ONLY botpulse.table_sizes
    ADD CONSTRAINT table_sizes_pkey PRIMARY KEY (table_name, sampled_on);

ALTER TABLE ONLY botpulse.tier_benefits
    ADD CONSTRAINT tier_benefits_pkey PRIMARY KEY (tier, benefit);

ALTER TABLE ONLY botpulse.tier_history
    ADD CONSTRAINT tier_history_pkey PRIMARY KEY (id);

ALTER TABLE ONLY botpulse.tier_rules
    ADD CONSTRAINT tier_rules_pkey PRIMARY KEY (tier);

ALTER TABLE ONLY botpulse.user_days
    ADD CONSTRAINT user_days_pkey PRIMARY KEY (telegram_id, date);

ALTER TABLE ONLY botpulse.user_field_times
    ADD CONSTRAINT user_field_times_pkey PRIMARY KEY (telegram_id);

ALTER TABLE ONLY botpulse.user_message_counts
    ADD CONSTRAINT user_message_counts_pkey PRIMARY KEY (telegram_id);

ALTER TABLE ONLY botpulse.user_offers
    ADD CONSTRAINT user_offers_pkey PRIMARY KEY (telegram_id, date);

ALTER TABLE ONLY botpulse.user_sessions
    ADD CONSTRAINT user_sessions_pkey PRIMARY KEY (telegram_id, session_start);

ALTER TABLE ONLY botpulse.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (telegram_id);

ALTER TABLE ONLY botpulse.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (finished_at);

CREATE INDEX audit_log_occurred_at ON botpulse.audit_log USING brin (occurred_at);

CREATE INDEX audit_log_user ON botpulse.audit_log USING btree (telegram_id, occurred_at);

CREATE INDEX auto_recharge_triggers_triggered_at ON botpulse.auto_recharge_triggers USING btree (triggered_at);

CREATE INDEX content_buyers_user ON botpulse.content_buyers USING btree (telegram_id);

CREATE INDEX dead_letters_appended_at ON botpulse.dead_letters USING btree (appended_at);

CREATE INDEX direct_edits_edited_at ON botpulse.direct_edits USING btree (edited_at);

CREATE INDEX idx_users_activity ON botpulse.users USING btree (last_active_day, telegram_id);

CREATE INDEX idx_users_referred_by ON botpulse.users USING btree (referred_by) INCLUDE (telegram_id, total_spent_cents) WHERE (referred_by IS NOT NULL);

CREATE INDEX idx_users_spending ON botpulse.users USING btree (round(((total_spent_cents)::numeric / 100.0), 2));

CREATE INDEX payment_analytics_charge ON botpulse.payment_analytics USING btree (charge_id, provider) WHERE (charge_id IS NOT NULL);

CREATE INDEX payment_analytics_occurred_at ON botpulse.payment_analytics USING btree (occurred_at);

CREATE INDEX payment_analytics_outcome_by_method ON botpulse.payment_analytics USING btree (payment_method_type, payment_status);

CREATE INDEX payment_disputes_charge ON botpulse.payment_disputes USING btree (telegram_id, provider, charge_id);

CREATE INDEX payment_disputes_closed_charge ON botpulse.payment_disputes USING btree (telegram_id, provider, closed_charge_id);

CREATE INDEX payment_disputes_lost_at ON botpulse.payment_disputes USING btree (closed_at) WHERE (outcome = 'lost'::text);

CREATE INDEX payment_disputes_opened_at ON botpulse.payment_disputes USING btree (opened_at);

CREATE INDEX payment_refunds_charge ON botpulse.payment_refunds USING btree (telegram_id, provider, charge_id);

CREATE INDEX payment_refunds_occurred_at ON botpulse.payment_refunds USING btree (occurred_at);

CREATE INDEX refused_events_open ON botpulse.refused_events USING btree (topic, partition) WHERE (state = 'open'::text);

CREATE INDEX subscriptions_active ON botpulse.subscriptions USING btree (expires_at) WHERE (status = 'active'::text);

CREATE INDEX tier_history_user ON botpulse.tier_history USING btree (telegram_id, log_offset);

CREATE INDEX user_days_date ON botpulse.user_days USING btree (date);

CREATE INDEX user_sessions_start ON botpulse.user_sessions USING btree (session_start);

CREATE INDEX users_paying_activity ON botpulse.users USING btree (last_active_day) WHERE (purchase_count > 0);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON botpulse.audit_log FOR EACH STATEMENT EXECUTE FUNCTION botpulse.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON botpulse.direct_edits FOR EACH STATEMENT EXECUTE FUNCTION botpulse.refuse_change();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.applied_events FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.auto_recharge_triggers FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.checkpoints FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.content_buyers FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.content_items FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.daily_metrics FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.dead_letters FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.hourly_metrics FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.message_patterns FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.payment_analytics FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.payment_disputes FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.payment_refunds FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.purchase_triggers FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.subscriptions FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.tier_history FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.user_days FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.user_field_times FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.user_message_counts FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.user_offers FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.user_sessions FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_edit AFTER INSERT OR DELETE OR UPDATE ON botpulse.users FOR EACH ROW WHEN (((CURRENT_USER <> 'botpulse_projector'::name) AND ((CURRENT_USER <> 'botpulse_owner'::name) OR (current_setting('role'::text) = 'botpulse_owner'::text)))) EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.applied_events FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.auto_recharge_triggers FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.checkpoints FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.content_buyers FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.content_items FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.daily_metrics FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.dead_letters FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.hourly_metrics FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.message_patterns FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.payment_analytics FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.payment_disputes FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.payment_refunds FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.purchase_triggers FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.subscriptions FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.tier_history FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.user_days FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.user_field_times FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.user_message_counts FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.user_offers FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.user_sessions FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

CREATE TRIGGER direct_truncation AFTER TRUNCATE ON botpulse.users FOR EACH STATEMENT EXECUTE FUNCTION botpulse.record_direct_edit();

ALTER TABLE ONLY botpulse.auto_recharge_triggers
    ADD CONSTRAINT auto_recharge_triggers_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.content_buyers
    ADD CONSTRAINT content_buyers_content_id_fkey FOREIGN KEY (content_id) REFERENCES botpulse.content_items(content_id);

ALTER TABLE ONLY botpulse.content_buyers
    ADD CONSTRAINT content_buyers_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.payment_analytics
    ADD CONSTRAINT payment_analytics_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.payment_disputes
    ADD CONSTRAINT payment_disputes_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.payment_refunds
    ADD CONSTRAINT payment_refunds_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.subscriptions
    ADD CONSTRAINT subscriptions_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.tier_history
    ADD CONSTRAINT tier_history_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.user_days
    ADD CONSTRAINT user_days_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.user_field_times
    ADD CONSTRAINT user_field_times_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.user_message_counts
    ADD CONSTRAINT user_message_counts_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.user_offers
    ADD CONSTRAINT user_offers_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.user_sessions
    ADD CONSTRAINT user_sessions_telegram_id_fkey FOREIGN KEY (telegram_id) REFERENCES botpulse.users(telegram_id);

ALTER TABLE ONLY botpulse.users
    ADD CONSTRAINT users_referred_by_fkey FOREIGN KEY (referred_by) REFERENCES botpulse.users(telegram_id);

ALTER TABLE botpulse.activity_thresholds ENABLE ROW LEVEL SECURITY;

CREATE POLICY all_rows ON botpulse.activity_thresholds TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin, botpulse_bot USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.applied_events TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.audit_chains TO botpulse_owner, botpulse_projector, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.audit_log TO botpulse_owner, botpulse_projector, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.auto_recharge_triggers TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.checkpoints TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.content_buyers TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.content_items TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin, botpulse_bot USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.daily_metrics TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.dead_letters TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.direct_edits TO botpulse_owner, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.hourly_metrics TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.maintenance_settings TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.message_patterns TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.payment_analytics TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.payment_disputes TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.payment_refunds TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.purchase_triggers TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.refused_events TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.retention_horizons TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.schema_migrations TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_auditor, botpulse_admin, botpulse_bot USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.subscriptions TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.table_sizes TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.tier_benefits TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin, botpulse_bot USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.tier_history TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.tier_rules TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin, botpulse_bot USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.user_days TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.user_field_times TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.user_message_counts TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.user_offers TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.user_sessions TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.users TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_admin USING (true) WITH CHECK (true);

CREATE POLICY all_rows ON botpulse.verifications TO botpulse_owner, botpulse_projector, botpulse_maintenance, botpulse_analyst, botpulse_auditor, botpulse_admin USING (true) WITH CHECK (true);

ALTER TABLE botpulse.applied_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.audit_chains ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.audit_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.auto_recharge_triggers ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.checkpoints ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.content_buyers ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.content_items ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.daily_metrics ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.dead_letters ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.direct_edits ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.hourly_metrics ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.maintenance_settings ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.message_patterns ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON botpulse.auto_recharge_triggers FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.content_buyers FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.payment_analytics FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.payment_disputes FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.payment_refunds FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.subscriptions FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.tier_history FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.user_days FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.user_field_times FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.user_message_counts FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.user_offers FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.user_sessions FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

CREATE POLICY own_rows ON botpulse.users FOR SELECT TO botpulse_bot USING ((telegram_id = (NULLIF(current_setting('botpulse.telegram_id'::text, true), ''::text))::bigint));

ALTER TABLE botpulse.payment_analytics ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.payment_disputes ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.payment_refunds ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.purchase_triggers ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.refused_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.retention_horizons ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.schema_migrations ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.subscriptions ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.table_sizes ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.tier_benefits ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.tier_history ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.tier_rules ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.user_days ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.user_field_times ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.user_message_counts ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.user_offers ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.user_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.users ENABLE ROW LEVEL SECURITY;

ALTER TABLE botpulse.verifications ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA botpulse TO botpulse_admin;
GRANT USAGE ON SCHEMA botpulse TO botpulse_analyst;
GRANT USAGE ON SCHEMA botpulse TO botpulse_auditor;
GRANT USAGE ON SCHEMA botpulse TO botpulse_bot;
GRANT USAGE ON SCHEMA botpulse TO botpulse_maintenance;
GRANT USAGE ON SCHEMA botpulse TO botpulse_projector;

REVOKE ALL ON FUNCTION botpulse.health_of_business() FROM PUBLIC;

REVOKE ALL ON FUNCTION botpulse.health_of_projections() FROM PUBLIC;

REVOKE ALL ON FUNCTION botpulse.health_of_storage() FROM PUBLIC;

REVOKE ALL ON FUNCTION botpulse.check_database_health() FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.check_database_health() TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.check_database_health() TO botpulse_analyst;
GRANT ALL ON FUNCTION botpulse.check_database_health() TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.cleanup_old_data() FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.cleanup_old_data() TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.cleanup_old_data() TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.unpack_actions(actions bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.unpack_actions(actions bytea) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.unpack_actions(actions bytea) TO botpulse_analyst;
GRANT ALL ON FUNCTION botpulse.unpack_actions(actions bytea) TO botpulse_bot;
GRANT ALL ON FUNCTION botpulse.unpack_actions(actions bytea) TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_days TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_days TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_days TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_days TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_days TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_sessions TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_sessions TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_sessions TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_sessions TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_sessions TO botpulse_projector;

REVOKE ALL ON FUNCTION botpulse.cut_sessions_at(horizon timestamp with time zone) FROM PUBLIC;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.auto_recharge_triggers TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.auto_recharge_triggers TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.auto_recharge_triggers TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.auto_recharge_triggers TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.auto_recharge_triggers TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.payment_analytics TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.payment_analytics TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.payment_analytics TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.payment_analytics TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.payment_analytics TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.payment_disputes TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.payment_disputes TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.payment_disputes TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.payment_disputes TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.payment_disputes TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.payment_refunds TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.payment_refunds TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.payment_refunds TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.payment_refunds TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.payment_refunds TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.users TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.users TO botpulse_bot;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.users TO botpulse_projector;

GRANT SELECT(telegram_id) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(telegram_id) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(username) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(username) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(referred_by) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(referred_by) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(registered_at) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(registered_at) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(total_spent_cents) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(total_spent_cents) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(purchase_count) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(purchase_count) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(lifetime_messages) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(lifetime_messages) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(message_credits) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(message_credits) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(last_active) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(last_active) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(last_active_day) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(last_active_day) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(current_tier) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(current_tier) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(tier_changed_at) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(tier_changed_at) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(is_blocked) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(is_blocked) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(auto_recharge_enabled) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(auto_recharge_enabled) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(auto_recharge_amount_cents) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(auto_recharge_amount_cents) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(auto_recharge_credits) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(auto_recharge_credits) ON TABLE botpulse.users TO botpulse_maintenance;

GRANT SELECT(auto_recharge_threshold_credits) ON TABLE botpulse.users TO botpulse_analyst;
GRANT SELECT(auto_recharge_threshold_credits) ON TABLE botpulse.users TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.figures_of_day(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.figures_of_day(day date) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.figures_of_day(day date) TO botpulse_analyst;
GRANT ALL ON FUNCTION botpulse.figures_of_day(day date) TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.health_status(measured numeric, warn_from numeric, alert_from numeric) FROM PUBLIC;

REVOKE ALL ON FUNCTION botpulse.maintenance_setting(setting text) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.maintenance_setting(setting text) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.maintenance_setting(setting text) TO botpulse_analyst;
GRANT ALL ON FUNCTION botpulse.maintenance_setting(setting text) TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.money_of_user(telegram_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.money_of_user(telegram_id bigint) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.money_of_user(telegram_id bigint) TO botpulse_analyst;
GRANT ALL ON FUNCTION botpulse.money_of_user(telegram_id bigint) TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.record_direct_edit() FROM PUBLIC;

REVOKE ALL ON FUNCTION botpulse.refuse_change() FROM PUBLIC;

REVOKE ALL ON FUNCTION botpulse.remove_rows_before(table_name text, time_column text, horizon timestamp with time zone, most bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION botpulse.sample_table_sizes() FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.sample_table_sizes() TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.sample_table_sizes() TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.set_maintenance_setting(setting text, value text) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.set_maintenance_setting(setting text, value text) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.set_maintenance_setting(setting text, value text) TO botpulse_maintenance;

GRANT SELECT ON TABLE botpulse.tier_rules TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.tier_rules TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.tier_rules TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.tier_rules TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.tier_rules TO botpulse_projector;

REVOKE ALL ON FUNCTION botpulse.tier_of(purchases bigint, spent_cents bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.tier_of(purchases bigint, spent_cents bigint) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.tier_of(purchases bigint, spent_cents bigint) TO botpulse_analyst;
GRANT ALL ON FUNCTION botpulse.tier_of(purchases bigint, spent_cents bigint) TO botpulse_bot;
GRANT ALL ON FUNCTION botpulse.tier_of(purchases bigint, spent_cents bigint) TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.update_daily_metrics(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.update_daily_metrics(day date) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.update_daily_metrics(day date) TO botpulse_maintenance;

REVOKE ALL ON FUNCTION botpulse.update_user_tier(telegram_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION botpulse.update_user_tier(telegram_id bigint) TO botpulse_admin;
GRANT ALL ON FUNCTION botpulse.update_user_tier(telegram_id bigint) TO botpulse_maintenance;

GRANT SELECT ON TABLE botpulse.activity_thresholds TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.activity_thresholds TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.activity_thresholds TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.activity_thresholds TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.activity_thresholds TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.hourly_metrics TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.hourly_metrics TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.hourly_metrics TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.hourly_metrics TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.admin_monitoring TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.admin_monitoring TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.admin_monitoring TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.applied_events TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.applied_events TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.applied_events TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.applied_events TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.audit_chains TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.audit_chains TO botpulse_auditor;
GRANT SELECT,INSERT,UPDATE ON TABLE botpulse.audit_chains TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.audit_log TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.audit_log TO botpulse_auditor;
GRANT SELECT,INSERT ON TABLE botpulse.audit_log TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.checkpoints TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.checkpoints TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.checkpoints TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.checkpoints TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.churn_warnings TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.churn_warnings TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.churn_warnings TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_message_counts TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_message_counts TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_message_counts TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_message_counts TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_message_counts TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.communication_preferences TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.communication_preferences TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.communication_preferences TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.communication_preferences TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.content_buyers TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.content_buyers TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.content_buyers TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.content_buyers TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.content_buyers TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.content_items TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.content_items TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.content_items TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.content_items TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.content_items TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.content_performance TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.content_performance TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.content_performance TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.daily_metrics TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.daily_metrics TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.daily_metrics TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.daily_metrics TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.dead_letters TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.dead_letters TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.dead_letters TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.dead_letters TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.direct_edits TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.direct_edits TO botpulse_auditor;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.maintenance_settings TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.maintenance_settings TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.maintenance_settings TO botpulse_auditor;
GRANT SELECT ON TABLE botpulse.maintenance_settings TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.maintenance_settings TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.message_patterns TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.message_patterns TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.message_patterns TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.message_patterns TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.monthly_growth TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.monthly_growth TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.monthly_growth TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.purchase_triggers TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.purchase_triggers TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.purchase_triggers TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.purchase_triggers TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.referral_effectiveness TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.referral_effectiveness TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.referral_effectiveness TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.refused_events TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.refused_events TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.refused_events TO botpulse_auditor;
GRANT SELECT ON TABLE botpulse.refused_events TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.refused_events TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.retention_horizons TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.retention_horizons TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.retention_horizons TO botpulse_auditor;
GRANT SELECT ON TABLE botpulse.retention_horizons TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.retention_horizons TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.revenue_dashboard TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.revenue_dashboard TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.revenue_dashboard TO botpulse_maintenance;

GRANT SELECT ON TABLE botpulse.schema_migrations TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.schema_migrations TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.schema_migrations TO botpulse_auditor;
GRANT SELECT ON TABLE botpulse.schema_migrations TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.schema_migrations TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.schema_migrations TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.subscriptions TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.subscriptions TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.subscriptions TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.subscriptions TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.subscriptions TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.table_sizes TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.table_sizes TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.table_sizes TO botpulse_auditor;
GRANT SELECT ON TABLE botpulse.table_sizes TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.table_sizes TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.tier_benefits TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.tier_benefits TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.tier_benefits TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.tier_benefits TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.tier_benefits TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.tier_history TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.tier_history TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.tier_history TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.tier_history TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.tier_history TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.user_benefits TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_benefits TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_benefits TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_benefits TO botpulse_maintenance;

GRANT SELECT ON TABLE botpulse.user_dashboard TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_dashboard TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_dashboard TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_dashboard TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_field_times TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_field_times TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_field_times TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_field_times TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_field_times TO botpulse_projector;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_offers TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_offers TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_offers TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_offers TO botpulse_maintenance;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.user_offers TO botpulse_projector;

GRANT SELECT ON TABLE botpulse.user_rolling TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.user_rolling TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.user_rolling TO botpulse_bot;
GRANT SELECT ON TABLE botpulse.user_rolling TO botpulse_maintenance;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE botpulse.verifications TO botpulse_admin;
GRANT SELECT ON TABLE botpulse.verifications TO botpulse_analyst;
GRANT SELECT ON TABLE botpulse.verifications TO botpulse_auditor;
GRANT SELECT ON TABLE botpulse.verifications TO botpulse_maintenance;
GRANT SELECT ON TABLE botpulse.verifications TO botpulse_projector;

INSERT INTO botpulse.activity_thresholds (status, within) VALUES ('active', '7 days');
INSERT INTO botpulse.activity_thresholds (status, within) VALUES ('inactive', '30 days');

INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('user_sessions_keep_days', '730', '730', 31, 36500, true, 'How many days sessions are kept; they can be had again from user_days, which is kept for ever.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('hourly_metrics_keep_days', '400', '400', 31, 36500, true, 'How many days the figures of hours, and the dead letters that they count, are kept.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('table_sizes_keep_days', '400', '400', 31, 36500, true, 'How many days samples of table sizes are kept.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('cleanup_rows', '200000', '200000', 1, 100000000, false, 'How many rows one call of cleanup_old_data() removes at most.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('lag_warn_seconds', '60', '60', 1, 31536000, false, 'How old a record may be when it is applied, before health warns of lag.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('lag_alert_seconds', '600', '600', 1, 31536000, false, 'The same, before it raises an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('silence_warn_minutes', '60', '60', 1, 525600, false, 'How long nothing may be applied, before health asks whether the service or the bot has stopped.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('dead_letters_warn', '1', '1', 1, 1000000000, false, 'How many dead letters of the last 24 hours are worth a warning.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('dead_letters_alert', '1000', '1000', 1, 1000000000, false, 'The same, for an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('bloat_min_rows', '10000', '10000', 0, 1000000000000, false, 'Tables with fewer dead rows are not looked at for bloat.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('bloat_warn_percent', '20', '20', 1, 100, false, 'Dead rows of a table by all its rows, for a warning.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('bloat_alert_percent', '50', '50', 1, 100, false, 'The same, for an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('freeze_age_warn', '500000000', '500000000', 1, 2000000000, false, 'Age of the oldest transaction in a table that no vacuum has frozen, for a warning; Postgres stops at two billion.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('freeze_age_alert', '1000000000', '1000000000', 1, 2000000000, false, 'The same, for an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('unused_index_megabytes', '100', '100', 0, 1000000000, false, 'An index as large as this that no query has used is worth a warning.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('seq_scan_min_rows', '100000', '100000', 0, 1000000000000, false, 'Tables with fewer rows may be read whole by every query.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('cache_hit_warn_percent', '95', '95', 0, 101, false, 'Below this share of blocks found in memory, health warns.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('cache_hit_alert_percent', '80', '80', 0, 101, false, 'The same, for an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('cache_hit_min_blocks', '100000', '100000', 0, 1000000000000, false, 'A database that has read fewer blocks says nothing about its cache.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('transaction_warn_seconds', '300', '300', 0, 31536000, false, 'How long a transaction may be open, before health warns.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('transaction_alert_seconds', '1800', '1800', 0, 31536000, false, 'The same, before it raises an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('slot_alert_megabytes', '5120', '5120', 0, 1000000000, false, 'How much log an inactive replication slot may hold back, before health raises an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('growth_min_megabytes', '100', '100', 0, 1000000000, false, 'Smaller tables may grow as they like.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('growth_warn_percent', '50', '50', 1, 1000000, false, 'Growth of a table within a week, for a warning.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('growth_alert_percent', '200', '200', 1, 1000000, false, 'The same, for an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('failed_payments_min', '10', '10', 1, 1000000, false, 'With fewer attempts to pay today, nothing is said about their failures.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('failed_payments_warn_deviations', '3', '3', 1, 1000, false, 'How many standard deviations above the usual rate of the 28 days before today''s failures may lie.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('failed_payments_alert_deviations', '6', '6', 1, 1000, false, 'The same, for an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('inactive_payers_warn_percent', '10', '10', 0, 100, false, 'Share of the paying users active a week ago who have turned inactive since, for a warning.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('inactive_payers_alert_percent', '30', '30', 0, 100, false, 'The same, for an alert.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('direct_edits_days', '7', '7', 1, 36500, false, 'How many days back health counts direct edits.');
INSERT INTO botpulse.maintenance_settings (setting, value, default_value, "least", most, or_forever, meaning) VALUES ('cleanup_overdue_days', '7', '7', 1, 36500, false, 'How much older than their setting says rows may be, before health says that cleanup is overdue.');

INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (1, 'installation', '506cefb7377cf5b60d3d10ce8db5be6456c9509348493db8dc59303cdc320c2a');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (2, 'positions', '16caf9b883f8131d41e77e29182a7d8c56b495c75688df43a8b2f9491900e045');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (3, 'tables', '8dfc3c82c93bd760e028d253f4dbe291cbc38e028ff27bd165e0ec1e68f8cfd8');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (4, 'dashboards', 'fa853bdb363d2fc3938e0e9c3f25b104331d0bf15a033cd9643b0f402b46600c');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (5, 'content', 'dadd12101a58b041ae2e6ee8216f065320ff2fc2209ba2b77a4384c6b920a370');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (6, 'recompute', '4f740a6c1b2ff2f3d1364f80aa8fe11feb2911dcc94b0b24442b0ef41f2a9072');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (7, 'messages', 'f0a803b03c373e6a38a043e27d7def0e1159465e4be1234b8c624d9092d608b3');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (8, 'user_rolling', 'f6ecb440ee8e06e155dbb36fbb659c591887247bae03825d5f56b3bf3d6334a1');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (9, 'accepted_refusals', '508080019aeacc947cfa1d314f8659d11a83265fdf9a5f090a8f1c262bbb090f');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (10, 'direct_edits', 'db806a41fa765cab2a9de70c19192c3ddbd63cff16e92c86a2960418f10b33f3');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (11, 'hourly_metrics', '568c5ed210ae3a142502f1d80b305164e108c7bd464c077b1a67f52ead293ccf');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (12, 'purchase_triggers', 'b6b76449c97906f35ff652061792ae67ecdbd95abc03e0550e2bf4d359b84890');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (13, 'upkeep', '2fdfc995c9bf032960ed02d3614ba837564973db8dd476779e733a474fa140a1');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (14, 'cleanup', '4a2a0804c5e069fea59c2b7372effb2ea1e6f179d71f88c6b86dc75308eb8e2b');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (15, 'verifications', 'fe996cd7074d5f73e5c31c767fe9c3c4d70ec4cba2d2859f9a0bcfd06f711fbd');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (16, 'audit', 'd450ded29f707f9a92bdd557305f682b72bade8a9d5c86b3878f8de727686f62');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (17, 'health', '1f49283738f23a2dc134e7f692e17299902a6054e87b707656c4fc3a5c664663');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (18, 'subscriptions', '4930abb10b657779cbd6581cc53e623732287817a97cfaf2085a0adee55db706');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (19, 'insights', 'fd6b390584424f2d89eb785c0e56b58c76a9453cd90afe1e42a71c445ae1dc9b');
INSERT INTO botpulse.schema_migrations (version, name, checksum) VALUES (20, 'covering_indexes', '428e92cf47effc6cde29cb5b99028d2a8df9a9db1cc06c72a6318d54984825a0');

INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('premium', 'bonus_credits_percent', 20);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('premium', 'discount_percent', 15);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('premium', 'support_priority', 3);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('vip', 'bonus_credits_percent', 10);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('vip', 'discount_percent', 10);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('vip', 'support_priority', 2);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('regular', 'bonus_credits_percent', 5);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('regular', 'discount_percent', 5);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('regular', 'support_priority', 1);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('new', 'bonus_credits_percent', 0);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('new', 'discount_percent', 0);
INSERT INTO botpulse.tier_benefits (tier, benefit, value) VALUES ('new', 'support_priority', 0);

INSERT INTO botpulse.tier_rules (tier, rank, min_purchases, min_spent_cents, rules_version) VALUES ('new', 0, 0, 0, 1);
INSERT INTO botpulse.tier_rules (tier, rank, min_purchases, min_spent_cents, rules_version) VALUES ('regular', 1, 3, 1000, 1);
INSERT INTO botpulse.tier_rules (tier, rank, min_purchases, min_spent_cents, rules_version) VALUES ('vip', 2, 10, 5000, 1);
INSERT INTO botpulse.tier_rules (tier, rank, min_purchases, min_spent_cents, rules_version) VALUES ('premium', 3, 20, 10000, 1);

RESET ROLE;
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
COMMIT;
