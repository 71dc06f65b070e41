-- check_database_health(): what an operator should look at, a row a check.
-- Scope: generation
-- Beside it: any code that runs on 0013_upkeep.

CREATE INDEX payment_analytics_charge ON payment_analytics (charge_id, provider) WHERE charge_id IS NOT NULL;

CREATE FUNCTION health_status(measured numeric, warn_from numeric, alert_from numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE
        WHEN measured >= alert_from THEN 'alert'
        WHEN measured >= warn_from THEN 'warn'
        ELSE 'ok'
    END;
END;

COMMENT ON FUNCTION health_status IS 'ok, warn or alert, by two thresholds; ok for null.';

-- Of the projections: what the checkpoints and the kept tables tell.
CREATE FUNCTION health_of_projections() RETURNS TABLE ("check" text, status text, value text, advice text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
SET timezone = 'UTC'
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

COMMENT ON FUNCTION health_of_projections IS 'Rows of check_database_health() about positions, letters, edits and retention.';

-- Of the business: what needs somebody's eye before a dashboard shows it.
CREATE FUNCTION health_of_business() RETURNS TABLE ("check" text, status text, value text, advice text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
SET timezone = 'UTC'
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

COMMENT ON FUNCTION health_of_business IS 'Rows of check_database_health() about payments and paying users.';

-- Of the database itself.
CREATE FUNCTION health_of_storage() RETURNS TABLE ("check" text, status text, value text, advice text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
SET timezone = 'UTC'
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

COMMENT ON FUNCTION health_of_storage IS 'Rows of check_database_health() about tables, indexes, memory, transactions and slots.';

CREATE FUNCTION check_database_health() RETURNS TABLE ("check" text, status text, value text, advice text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
BEGIN ATOMIC
    SELECT * FROM health_of_projections()
    UNION ALL
    SELECT * FROM health_of_business()
    UNION ALL
    SELECT * FROM health_of_storage();
END;

COMMENT ON FUNCTION check_database_health IS
    'What an operator should look at: each check with its status (ok, warn, alert), what was found, and what to do. Thresholds are in maintenance_settings.';
