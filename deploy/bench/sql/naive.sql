-- The questions of guide.sql put to a table of events and a table of users, by the same names. Each gives the same rows
-- as its namesake; where that one selects everything, it gives what there is anything to say about.

-- name: metrics_of_the_week
-- As its namesake.
SELECT
    date, coalesce(active_users, 0) AS active_users, coalesce(new_users, 0) AS new_users,
    coalesce(messages_received, 0) AS messages_received, coalesce(messages_sent, 0) AS messages_sent,
    coalesce(revenue_cents, 0) AS revenue_cents, coalesce(successful, 0) AS successful_payments,
    coalesce(failed, 0) AS failed_payments, coalesce(auto_recharges, 0) AS auto_recharge_triggers,
    coalesce(unlocks, 0) AS content_unlocks, coalesce(credits_spent, 0) AS credits_spent
FROM (
    SELECT
        at::date AS date,
        count(DISTINCT telegram_id) FILTER (WHERE type IN (
            'message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked'
        )) AS active_users,
        count(*) FILTER (WHERE type = 'message_received') AS messages_received,
        count(*) FILTER (WHERE type = 'message_sent') AS messages_sent,
        sum(amount_cents) FILTER (WHERE type = 'payment_succeeded') AS revenue_cents,
        count(*) FILTER (WHERE type = 'payment_succeeded') AS successful,
        count(*) FILTER (WHERE type = 'payment_failed') AS failed,
        count(*) FILTER (WHERE type = 'auto_recharge_triggered') AS auto_recharges,
        count(*) FILTER (WHERE type = 'content_unlocked') AS unlocks,
        sum(credits) FILTER (WHERE type = 'credits_spent') AS credits_spent
    FROM naive.events
    WHERE at >= current_date - 7
    GROUP BY 1
) AS e
FULL JOIN (
    SELECT registered_at::date AS date, count(*) AS new_users
    FROM naive.users
    WHERE registered_at >= current_date - 7
    GROUP BY 1
) AS u USING (date);

-- name: top_users
-- As its namesake.
SELECT
    u.username,
    round(coalesce(e.spent_cents, 0) / 100.0, 2) AS total_spent_dollars,
    CASE
        WHEN e.purchases >= 20 OR e.spent_cents >= 10000 THEN 'premium'
        WHEN e.purchases >= 10 OR e.spent_cents >= 5000 THEN 'vip'
        WHEN e.purchases >= 3 OR e.spent_cents >= 1000 THEN 'regular'
        ELSE 'new'
    END AS current_tier,
    CASE
        WHEN now() - coalesce(e.last_active, u.registered_at) <= interval '7 days' THEN 'active'
        WHEN now() - coalesce(e.last_active, u.registered_at) <= interval '30 days' THEN 'inactive'
        ELSE 'churned'
    END AS activity_status
FROM naive.users AS u
LEFT JOIN (
    SELECT
        telegram_id,
        sum(amount_cents) FILTER (WHERE type = 'payment_succeeded') AS spent_cents,
        count(*) FILTER (WHERE type = 'payment_succeeded') AS purchases,
        max(at) FILTER (WHERE type IN (
            'message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked'
        )) AS last_active
    FROM naive.events
    GROUP BY telegram_id
) AS e USING (telegram_id)
ORDER BY total_spent_dollars DESC
LIMIT 20;

-- name: revenue_by_day
-- As its namesake.
SELECT
    at::date AS date,
    round(coalesce(sum(amount_cents) FILTER (WHERE type = 'payment_succeeded'), 0) / 100.0, 2) AS total_revenue,
    round(
        100.0 * count(*) FILTER (WHERE type = 'payment_succeeded')
        / nullif(count(*) FILTER (WHERE type IN ('payment_succeeded', 'payment_failed')), 0),
        2
    ) AS success_rate_percent
FROM naive.events
WHERE at >= current_date - 30
GROUP BY 1;

-- name: content_by_revenue
-- As its namesake.
SELECT
    min(content_type) AS content_type,
    round(coalesce(sum(amount_cents) FILTER (WHERE type = 'content_unlocked'), 0) / 100.0, 2) AS total_revenue,
    round(
        count(*) FILTER (WHERE type = 'content_unlocked') / greatest(1, extract(epoch FROM now() - min(at)) / 86400), 4
    ) AS purchases_per_day
FROM naive.events
WHERE content_id IS NOT NULL
GROUP BY content_id
ORDER BY total_revenue DESC;

-- name: business_by_day
-- As its namesake.
SELECT
    date, coalesce(active_users, 0) AS active_users, coalesce(new_users, 0) AS new_users,
    coalesce(revenue_cents, 0)::bigint / 100 AS revenue_dollars, coalesce(auto_recharges, 0) AS auto_recharge_triggers,
    coalesce(unlocks, 0) AS content_unlocks
FROM (
    SELECT
        at::date AS date,
        count(DISTINCT telegram_id) FILTER (WHERE type IN (
            'message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked'
        )) AS active_users,
        sum(amount_cents) FILTER (WHERE type = 'payment_succeeded') AS revenue_cents,
        count(*) FILTER (WHERE type = 'auto_recharge_triggered') AS auto_recharges,
        count(*) FILTER (WHERE type = 'content_unlocked') AS unlocks
    FROM naive.events
    GROUP BY 1
) AS e
FULL JOIN (SELECT registered_at::date AS date, count(*) AS new_users FROM naive.users GROUP BY 1) AS u USING (date)
ORDER BY date DESC
LIMIT 30;

-- name: sessions
-- As its namesake.
SELECT
    avg(extract(epoch FROM until - since) / 60) AS avg_session_minutes,
    avg(messages) AS avg_messages_per_session,
    avg(credits) AS avg_credits_per_session
FROM (
    SELECT
        min(at) AS since, max(at) AS until, count(*) FILTER (WHERE type = 'message_received') AS messages,
        coalesce(sum(credits) FILTER (WHERE type = 'credits_spent'), 0) AS credits
    FROM (
        SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY telegram_id ORDER BY at, id) AS number
        FROM (
            SELECT
                id, telegram_id, at, type, credits,
                coalesce(at - lag(at) OVER (PARTITION BY telegram_id ORDER BY at, id) > interval '30 minutes', true) AS is_first
            FROM naive.events
            WHERE at >= current_date - 8
                AND type IN ('message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked')
        ) AS e
    ) AS e
    GROUP BY telegram_id, number
) AS s
WHERE since >= current_date - 7;

-- name: payment_methods
-- As its namesake.
SELECT
    method AS payment_method_type,
    count(*) AS total_attempts,
    count(*) FILTER (WHERE type = 'payment_succeeded') AS successful,
    round(100.0 * count(*) FILTER (WHERE type = 'payment_succeeded') / count(*), 2) AS success_rate
FROM naive.events
WHERE type IN ('payment_succeeded', 'payment_failed')
GROUP BY method;

-- name: referrals
-- As its namesake.
SELECT
    referrer.username AS referrer,
    count(referred.telegram_id) AS referrals_made,
    sum(coalesce(e.spent_cents, 0)) / 100 AS referred_revenue
FROM naive.users AS referrer
JOIN naive.users AS referred ON referrer.telegram_id = referred.referred_by
LEFT JOIN (
    SELECT telegram_id, sum(amount_cents)::bigint AS spent_cents
    FROM naive.events
    WHERE type = 'payment_succeeded'
    GROUP BY telegram_id
) AS e ON e.telegram_id = referred.telegram_id
GROUP BY referrer.username, referrer.telegram_id
ORDER BY referrals_made DESC;

-- name: active_users
-- As its namesake.
SELECT
    u.telegram_id, u.username, coalesce(e.spent_cents, 0) AS spent_cents, coalesce(e.purchases, 0) AS purchase_count,
    coalesce(e.messages, 0) AS lifetime_messages, e.last_active
FROM naive.users AS u
LEFT JOIN (
    SELECT
        telegram_id,
        sum(amount_cents) FILTER (WHERE type = 'payment_succeeded') AS spent_cents,
        count(*) FILTER (WHERE type = 'payment_succeeded') AS purchases,
        count(*) FILTER (WHERE type = 'message_received') AS messages,
        max(at) FILTER (WHERE type IN (
            'message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked'
        )) AS last_active
    FROM naive.events
    GROUP BY telegram_id
) AS e USING (telegram_id)
WHERE now() - coalesce(e.last_active, u.registered_at) <= interval '7 days'
LIMIT 10;

-- name: revenue_dashboard
-- As its namesake.
SELECT
    at::date AS date,
    round(coalesce(sum(amount_cents) FILTER (WHERE type = 'payment_succeeded'), 0) / 100.0, 2) AS total_revenue,
    count(*) FILTER (WHERE type IN ('payment_succeeded', 'payment_failed')) AS transactions,
    count(*) FILTER (WHERE type = 'payment_succeeded') AS successful,
    count(*) FILTER (WHERE type = 'payment_failed') AS failed
FROM naive.events
WHERE at >= current_date - 30
GROUP BY 1;

-- name: best_content
-- As its namesake.
SELECT
    content_id,
    min(content_type) AS content_type,
    count(*) FILTER (WHERE type = 'content_offered') AS offers,
    count(*) FILTER (WHERE type = 'content_viewed') AS views,
    count(*) FILTER (WHERE type = 'content_unlocked') AS unlocks,
    count(DISTINCT telegram_id) FILTER (WHERE type = 'content_unlocked') AS unique_buyers,
    round(sum(amount_cents) FILTER (WHERE type = 'content_unlocked') / 100.0, 2) AS total_revenue
FROM naive.events
WHERE content_id IS NOT NULL
GROUP BY content_id
HAVING sum(amount_cents) FILTER (WHERE type = 'content_unlocked') > 10000;

-- name: last_hours
-- As its namesake.
SELECT
    date_trunc('hour', at) AS hour,
    count(*) AS events,
    count(*) FILTER (WHERE type = 'message_received') AS messages,
    count(*) FILTER (WHERE type = 'payment_succeeded') AS payments,
    count(*) FILTER (WHERE type = 'payment_failed') AS payment_failures
FROM naive.events
WHERE date_trunc('hour', at) >= now() - interval '24 hours'
GROUP BY 1;

-- name: count_users
-- As its namesake.
SELECT count(*) FROM naive.users;

-- name: count_days
-- As its namesake.
SELECT count(*)
FROM (SELECT at::date FROM naive.events UNION SELECT registered_at::date FROM naive.users) AS d;

-- name: valuable_users
-- As its namesake.
SELECT
    u.username,
    round(sum(e.amount_cents) / 100.0, 2) AS total_spent_dollars,
    CASE
        WHEN count(*) >= 20 OR sum(e.amount_cents) >= 10000 THEN 'premium'
        ELSE 'vip'
    END AS current_tier
FROM naive.users AS u
JOIN naive.events AS e USING (telegram_id)
WHERE e.type = 'payment_succeeded'
GROUP BY u.telegram_id
HAVING sum(e.amount_cents) > 5000
ORDER BY total_spent_dollars DESC;

-- name: content_types
-- As its namesake.
SELECT content_type, avg(total_revenue), count(*)
FROM (
    SELECT
        min(content_type) AS content_type,
        round(coalesce(sum(amount_cents) FILTER (WHERE type = 'content_unlocked'), 0) / 100.0, 2) AS total_revenue
    FROM naive.events
    WHERE content_id IS NOT NULL
    GROUP BY content_id
) AS c
GROUP BY content_type
ORDER BY avg(total_revenue) DESC;

-- name: churning_users
-- As its namesake.
SELECT u.username, e.last_active, e.credits AS message_credits
FROM naive.users AS u
JOIN (
    SELECT
        telegram_id,
        sum(amount_cents) FILTER (WHERE type = 'payment_succeeded') AS spent_cents,
        sum(CASE type WHEN 'payment_succeeded' THEN credits ELSE -credits END) AS credits,
        max(at) FILTER (WHERE type IN (
            'message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked'
        )) AS last_active
    FROM naive.events
    GROUP BY telegram_id
) AS e USING (telegram_id)
WHERE e.spent_cents > 2000
    AND now() - e.last_active > interval '7 days'
    AND now() - e.last_active <= interval '30 days';

-- name: monthly_growth
-- As its namesake.
SELECT
    month, coalesce(new_users, 0) AS new_users, trunc(coalesce(revenue_cents, 0)) / 100 AS revenue
FROM (
    SELECT date_trunc('month', at) AS month, sum(amount_cents) AS revenue_cents
    FROM naive.events
    WHERE type = 'payment_succeeded'
    GROUP BY 1
) AS e
FULL JOIN (SELECT date_trunc('month', registered_at) AS month, count(*) AS new_users FROM naive.users GROUP BY 1) AS u
    USING (month)
ORDER BY month DESC;
