-- Scope: generation
-- Functions that recompute daily figures and tiers from the facts, and what they read: the tier rules, indexes by time.
-- Beside it: any code that runs on 0005_content.

CREATE TABLE tier_rules (
    tier            text    PRIMARY KEY,
    rank            integer NOT NULL CHECK (rank >= 0),
    min_purchases   bigint  NOT NULL CHECK (min_purchases >= 0),
    min_spent_cents bigint  NOT NULL CHECK (min_spent_cents >= 0),
    rules_version   integer NOT NULL CHECK (rules_version > 0)
);

COMMENT ON TABLE tier_rules IS
    'What each tier takes under the current rules: either number reaches it. Written by the migration from the rules data.';
COMMENT ON COLUMN tier_rules.rank IS '0 for the lowest tier, which everybody reaches.';

CREATE INDEX user_days_date ON user_days (date);
CREATE INDEX payment_refunds_occurred_at ON payment_refunds (occurred_at);
CREATE INDEX payment_disputes_opened_at ON payment_disputes (opened_at);
CREATE INDEX payment_disputes_lost_at ON payment_disputes (closed_at) WHERE outcome = 'lost';
CREATE INDEX auto_recharge_triggers_triggered_at ON auto_recharge_triggers (triggered_at);

-- The bodies below that begin with BEGIN ATOMIC are bound to their tables, whatever schema these are in; the others name
-- the schema that readers use.

CREATE FUNCTION tier_of(purchases bigint, spent_cents bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT r.tier
    FROM tier_rules AS r
    WHERE tier_of.purchases >= r.min_purchases OR tier_of.spent_cents >= r.min_spent_cents
    ORDER BY r.rank DESC
    LIMIT 1;
END;

COMMENT ON FUNCTION tier_of IS 'The highest tier that either number reaches under the current rules, lower-case.';

CREATE FUNCTION money_of_user(telegram_id bigint) RETURNS TABLE (purchases bigint, spent_cents bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT count(*) FILTER (WHERE l.left_cents > 0), coalesce(sum(l.left_cents), 0)::bigint
    FROM payment_analytics AS c
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(r.amount_cents), 0)::bigint AS cents,
            coalesce(sum(r.original_amount_minor) FILTER (WHERE r.original_currency = c.original_currency), 0) AS original
        FROM payment_refunds AS r
        WHERE r.telegram_id = c.telegram_id AND r.provider = c.provider AND r.charge_id = c.charge_id AND NOT r.failed
    ) AS refunded
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN EXISTS (
                SELECT FROM payment_disputes AS d
                WHERE d.telegram_id = c.telegram_id AND d.provider = c.provider
                    AND d.closed_charge_id = c.charge_id AND d.outcome = 'lost'
            ) THEN 0
            WHEN c.original_amount_minor > 0 AND refunded.original >= c.original_amount_minor THEN 0
            ELSE greatest(c.amount_cents - refunded.cents, 0)
        END AS left_cents
    ) AS l
    WHERE c.telegram_id = money_of_user.telegram_id AND c.payment_status = 'succeeded';
END;

COMMENT ON FUNCTION money_of_user IS
    'Purchases and spend of a user, from charges, refunds and disputes alone: what users.purchase_count and total_spent_cents must be.';

CREATE FUNCTION figures_of_day(day date) RETURNS TABLE (
    date date, active_users bigint, new_users bigint, messages_received bigint, messages_sent bigint,
    revenue_cents bigint, refunded_cents bigint, dispute_lost_cents bigint, successful_payments bigint,
    failed_payments bigint, auto_recharge_triggers bigint, content_unlocks bigint, credits_spent bigint,
    new_disputes bigint
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH span AS (
        SELECT
            figures_of_day.day::timestamp AT TIME ZONE 'UTC' AS since,
            (figures_of_day.day + 1)::timestamp AT TIME ZONE 'UTC' AS until
    ),
    -- Of a dispute's closings the latest is kept; of a charge's lost disputes the earliest closing names the day.
    lost_charges AS (
        SELECT DISTINCT d.telegram_id, d.provider, d.closed_charge_id AS charge_id
        FROM span
        JOIN payment_disputes AS d ON d.outcome = 'lost' AND d.closed_at >= span.since AND d.closed_at < span.until
        WHERE NOT EXISTS (
            SELECT FROM payment_disputes AS e
            WHERE e.telegram_id = d.telegram_id AND e.provider = d.provider
                AND e.closed_charge_id = d.closed_charge_id AND e.outcome = 'lost' AND e.closed_at < span.since
        )
    )
    SELECT
        figures_of_day.day, days.active_users, registered.new_users, days.messages_received, days.messages_sent,
        paid.revenue_cents, refunded.cents, lost.cents, paid.succeeded, paid.failed, triggered.triggers,
        days.unlocks, days.credits_spent, disputed.disputes
    FROM (
        SELECT
            count(*) FILTER (WHERE u.own_actions > 0) AS active_users,
            coalesce(sum(u.messages_received), 0)::bigint AS messages_received,
            coalesce(sum(u.messages_sent), 0)::bigint AS messages_sent,
            coalesce(sum(u.unlocks), 0)::bigint AS unlocks,
            coalesce(sum(u.credits_spent), 0)::bigint AS credits_spent
        FROM user_days AS u
        WHERE u.date = figures_of_day.day
    ) AS days
    CROSS JOIN (
        SELECT count(*) AS new_users
        FROM users AS u
        JOIN span ON u.registered_at >= span.since AND u.registered_at < span.until
    ) AS registered
    CROSS JOIN (
        SELECT
            coalesce(sum(p.amount_cents) FILTER (WHERE p.payment_status = 'succeeded'), 0)::bigint AS revenue_cents,
            count(*) FILTER (WHERE p.payment_status = 'succeeded') AS succeeded,
            count(*) FILTER (WHERE p.payment_status = 'failed') AS failed
        FROM span
        JOIN payment_analytics AS p ON p.occurred_at >= span.since AND p.occurred_at < span.until
    ) AS paid
    CROSS JOIN (
        SELECT coalesce(sum(r.amount_cents), 0)::bigint AS cents
        FROM span
        JOIN payment_refunds AS r ON r.occurred_at >= span.since AND r.occurred_at < span.until AND NOT r.failed
        JOIN payment_analytics AS c
            ON c.telegram_id = r.telegram_id AND c.provider = r.provider
            AND c.payment_status = 'succeeded' AND c.payment_id = r.charge_id
    ) AS refunded
    CROSS JOIN (
        SELECT coalesce(sum(greatest(c.amount_cents - refunds.cents, 0)), 0)::bigint AS cents
        FROM lost_charges AS l
        JOIN payment_analytics AS c
            ON c.telegram_id = l.telegram_id AND c.provider = l.provider
            AND c.payment_status = 'succeeded' AND c.payment_id = l.charge_id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(r.amount_cents), 0)::bigint AS cents
            FROM payment_refunds AS r
            WHERE r.telegram_id = l.telegram_id AND r.provider = l.provider AND r.charge_id = l.charge_id
                AND NOT r.failed
        ) AS refunds
    ) AS lost
    CROSS JOIN (
        SELECT count(*) AS triggers
        FROM span
        JOIN auto_recharge_triggers AS t ON t.triggered_at >= span.since AND t.triggered_at < span.until
    ) AS triggered
    CROSS JOIN (
        SELECT count(*) AS disputes
        FROM span
        JOIN payment_disputes AS d ON d.opened_at >= span.since AND d.opened_at < span.until
    ) AS disputed
    WHERE (
        days.active_users, registered.new_users, days.messages_received, days.messages_sent, paid.revenue_cents,
        refunded.cents, lost.cents, paid.succeeded, paid.failed, triggered.triggers, days.unlocks,
        days.credits_spent, disputed.disputes
    ) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
END;

COMMENT ON FUNCTION figures_of_day IS
    'The figures of a UTC day, from the facts alone: what its row in daily_metrics must be. No row for a day on which nothing was counted.';

CREATE FUNCTION update_user_tier(telegram_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
SET lock_timeout = '10s'
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

COMMENT ON FUNCTION update_user_tier IS
    'Recomputes purchases, spend and tier of a user from the facts, repairs the row where it differs, sends nothing. Returns the tier; null, with a notice, for a user who is unknown.';

CREATE FUNCTION update_daily_metrics(day date DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
SET lock_timeout = '10s'
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

COMMENT ON FUNCTION update_daily_metrics IS
    'Recomputes the figures of a UTC day from the facts and repairs its row where it differs; without a day, those of yesterday and today. Returns how many days were repaired.';

REVOKE ALL ON FUNCTION tier_of, money_of_user, figures_of_day, update_user_tier, update_daily_metrics FROM PUBLIC;
