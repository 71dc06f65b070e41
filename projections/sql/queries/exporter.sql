-- What the exporter shows of the business and of the database, as of now.

-- name: today
-- The figures of this UTC day; zeros before its first event.
SELECT
    coalesce(sum(revenue_cents), 0)::bigint AS revenue_cents,
    coalesce(sum(net_revenue_cents), 0)::bigint AS net_revenue_cents,
    coalesce(sum(active_users), 0)::bigint AS active_users,
    coalesce(sum(new_users), 0)::bigint AS new_users
FROM daily_metrics
WHERE date = (now() AT TIME ZONE 'UTC')::date;

-- name: users_by_tier
-- Every tier, those that nobody has too.
SELECT t.tier, count(u.telegram_id) AS users
FROM tier_rules AS t
LEFT JOIN users AS u ON u.current_tier = t.tier
GROUP BY t.tier;

-- name: payment_attempts
-- Attempts to pay and how many succeeded, within each window up to now.
SELECT w.name, count(p.occurred_at) AS attempts, count(p.occurred_at) FILTER (WHERE p.payment_status = 'succeeded') AS succeeded
FROM (VALUES ('1h', interval '1 hour'), ('24h', interval '24 hours'), ('28d', interval '28 days')) AS w (name, length)
LEFT JOIN payment_analytics AS p ON p.occurred_at > now() - w.length AND p.occurred_at <= now()
GROUP BY w.name;

-- name: disputes_opened
-- Disputes opened within each window up to now.
SELECT w.name, count(d.opened_at) AS disputes
FROM (VALUES ('24h', interval '24 hours'), ('28d', interval '28 days')) AS w (name, length)
LEFT JOIN payment_disputes AS d ON d.opened_at > now() - w.length AND d.opened_at <= now()
GROUP BY w.name;

-- name: paying_users
-- Users of whose charges something is left, and how many of them turned inactive within the last week: their last sign of
-- life lies as long ago as makes a user inactive, and not a week longer.
SELECT
    count(*) AS paying,
    count(*) FILTER (
        WHERE now() - coalesce(u.last_active, u.registered_at) > t.within
            AND now() - coalesce(u.last_active, u.registered_at) <= t.within + interval '7 days'
    ) AS turned_inactive
FROM users AS u
CROSS JOIN activity_thresholds AS t
WHERE u.purchase_count > 0 AND t.status = 'active';

-- name: health
-- Each check of the database as a number.
SELECT "check", CASE status WHEN 'ok' THEN 0 WHEN 'warn' THEN 1 ELSE 2 END AS level
FROM check_database_health();
