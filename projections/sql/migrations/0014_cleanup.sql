-- Settings of maintenance, read and set; the removal of old rows.
-- Scope: generation
-- Beside it: code that asks botpulse.retention_horizons; older code would write again what is removed.

-- As in 0006_recompute the bodies name the schema that readers use: a generation under construction has no callers.

CREATE FUNCTION maintenance_setting(setting text) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, botpulse, pg_temp
AS $$
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
$$;

COMMENT ON FUNCTION maintenance_setting IS
    'A setting of maintenance as a number, null for forever. Raises an error that names the setting where its value is none.';

CREATE FUNCTION set_maintenance_setting(setting text, value text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
AS $$
BEGIN
    UPDATE maintenance_settings AS m SET value = coalesce(set_maintenance_setting.value, m.default_value)
    WHERE m.setting = set_maintenance_setting.setting;
    -- Raises for an unknown name and for a wrong value, and so leaves the setting as it was.
    RETURN coalesce(maintenance_setting(setting)::text, 'forever');
END
$$;

COMMENT ON FUNCTION set_maintenance_setting IS
    'Changes a setting of maintenance; null brings the default back. Returns the value; a wrong one changes nothing.';

CREATE FUNCTION remove_rows_before(table_name text, time_column text, horizon timestamptz, most bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, botpulse, pg_temp
AS $$
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
$$;

COMMENT ON FUNCTION remove_rows_before IS
    'Drops the partitions that lie wholly before a moment, and deletes at most so many rows elsewhere. Returns how many rows are gone.';

CREATE FUNCTION cut_sessions_at(horizon timestamptz) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    UPDATE user_sessions AS s SET
        session_start = cut.session_start,
        messages_in_session = cut.messages,
        credits_spent = cut.credits,
        purchases_in_session = cut.purchases
    FROM (
        SELECT
            o.telegram_id,
            o.session_start AS began_at,
            min(a.occurred_at) AS session_start,
            count(*) FILTER (WHERE a.kind = 1) AS messages,
            coalesce(sum(a.amount) FILTER (WHERE a.kind = 2), 0)::bigint AS credits,
            count(*) FILTER (WHERE a.kind = 3) AS purchases
        FROM user_sessions AS o
        JOIN user_days AS d
            ON d.telegram_id = o.telegram_id
            AND d.date BETWEEN (cut_sessions_at.horizon AT TIME ZONE 'UTC')::date AND (o.session_end AT TIME ZONE 'UTC')::date
        CROSS JOIN LATERAL unpack_actions(d.actions) AS a
        WHERE o.session_start < cut_sessions_at.horizon
            AND o.session_end >= cut_sessions_at.horizon
            AND a.occurred_at BETWEEN cut_sessions_at.horizon AND o.session_end
        GROUP BY o.telegram_id, o.session_start
    ) AS cut
    WHERE s.telegram_id = cut.telegram_id AND s.session_start = cut.began_at;
END;

COMMENT ON FUNCTION cut_sessions_at IS
    'Lets sessions that reach across a moment begin with their first own action from it on: as if nothing were known of the time before.';

CREATE FUNCTION cleanup_old_data() RETURNS TABLE (
    table_name text, removed_rows bigint, horizon timestamptz, is_finished boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
SET timezone = 'UTC'
SET lock_timeout = '10s'
AS $$
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
$$;

COMMENT ON FUNCTION cleanup_old_data IS
    'Removes rows that are older than maintenance_settings says: whole partitions, elsewhere at most cleanup_rows rows a call. Totals keep what they counted. Returns for each table what was removed, from when on rows are kept, and whether nothing older is left.';

CREATE FUNCTION sample_table_sizes() RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
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

COMMENT ON FUNCTION sample_table_sizes IS 'Notes how large each table is today, for check_database_health(). Returns how many.';
