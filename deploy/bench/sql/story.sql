-- One invented story told twice: as a naive schema of events and users, and folded from it into the projected tables.
--
-- Every figure is a hash of a number, so the same sizes make the same story up to the hour it ends in
-- (bench.users, bench.events, bench.ends_at). Foreign keys and triggers are off while it is written.

-- name: begin
-- The schema, and how the session works.
CREATE SCHEMA naive;
GRANT USAGE ON SCHEMA naive TO botpulse_analyst;
ALTER DEFAULT PRIVILEGES IN SCHEMA naive GRANT SELECT ON TABLES TO botpulse_analyst;
SET session_replication_role = replica;
SET synchronous_commit = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';
CREATE FUNCTION naive.share(n bigint, salt bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT (hashint8extended(n, salt) & 4294967295) / 4294967296.0::float8';

-- name: naive_users
-- They came over the last year, evenly; one in seven was brought by somebody, and a few bring many.
CREATE TABLE naive.users AS
SELECT
    n AS telegram_id,
    'user_' || n AS username,
    current_setting('bench.ends_at')::timestamptz - naive.share(n, 1) * interval '365 days' AS registered_at,
    CASE WHEN n > 1 AND naive.share(n, 2) < 0.15 THEN 1 + floor((n - 1) * power(naive.share(n, 3), 3))::bigint END AS referred_by
FROM generate_series(1, current_setting('bench.users')::bigint) AS n;
ALTER TABLE naive.users ADD PRIMARY KEY (telegram_id);

-- name: naive_events
-- Bursts of five events over the last 90 days, since the user's registration, in order of time; some users have many.
CREATE TEMPORARY TABLE bursts AS
SELECT
    b.telegram_id,
    current_setting('bench.ends_at')::timestamptz - interval '10 minutes' - b.back * least(
        interval '90 days', current_setting('bench.ends_at')::timestamptz - u.registered_at
    ) AS began_at
FROM (
    SELECT
        1 + floor(current_setting('bench.users')::bigint * power(naive.share(n, 4), 1.5))::bigint AS telegram_id,
        naive.share(n, 5) AS back
    FROM generate_series(1, current_setting('bench.events')::bigint / 5) AS n
) AS b
JOIN naive.users AS u USING (telegram_id)
ORDER BY began_at, telegram_id;

CREATE TABLE naive.events AS
SELECT
    id,
    telegram_id,
    at,
    type,
    CASE
        WHEN type IN ('payment_succeeded', 'payment_failed') THEN 100 + floor(1900 * naive.share(id, 7))::bigint
        WHEN type LIKE 'content_%' THEN 100 + item % 20 * 100
    END AS amount_cents,
    CASE
        WHEN type = 'payment_succeeded' THEN 100
        WHEN type = 'credits_spent' THEN 1 + floor(5 * naive.share(id, 7))::bigint
    END AS credits,
    CASE
        WHEN type IN ('payment_succeeded', 'payment_failed') THEN
            CASE WHEN naive.share(id, 8) < 0.6 THEN 'stars' WHEN naive.share(id, 8) < 0.9 THEN 'card' ELSE 'wallet' END
    END AS method,
    CASE WHEN type LIKE 'content_%' THEN 'item_' || item END AS content_id,
    CASE
        WHEN type LIKE 'content_%' THEN (ARRAY['photo', 'video', 'audio', 'text', 'bundle', 'other'])[1 + item % 6]
    END AS content_type
FROM (
    SELECT
        id,
        telegram_id,
        at,
        CASE
            WHEN what < 0.480 THEN 'message_received'
            WHEN what < 0.750 THEN 'message_sent'
            WHEN what < 0.860 THEN 'credits_spent'
            WHEN what < 0.920 THEN 'content_viewed'
            WHEN what < 0.940 THEN 'content_offered'
            WHEN what < 0.965 THEN 'content_unlocked'
            WHEN what < 0.990 THEN 'payment_succeeded'
            WHEN what < 0.996 THEN 'payment_failed'
            ELSE 'auto_recharge_triggered'
        END AS type,
        floor(greatest(20, current_setting('bench.users')::bigint / 500) * power(naive.share(id, 9), 2))::bigint AS item
    FROM (
        SELECT
            b.number * 5 + place AS id,
            b.telegram_id,
            b.began_at + place * interval '40 seconds' AS at,
            naive.share(b.number * 5 + place, 6) AS what
        FROM (SELECT row_number() OVER () AS number, telegram_id, began_at FROM bursts) AS b
        CROSS JOIN generate_series(0, 4) AS place
        OFFSET 0
    ) AS e
    OFFSET 0
) AS e;
DROP TABLE bursts;
ALTER TABLE naive.events ADD PRIMARY KEY (id);
ANALYZE naive.events, naive.users;

-- name: users
-- Everybody, with what they did.
INSERT INTO users (
    telegram_id, username, referred_by, registered_at, total_spent_cents, purchase_count, lifetime_messages,
    message_credits, last_active, current_tier
)
SELECT
    u.telegram_id, u.username, u.referred_by, u.registered_at, coalesce(e.spent_cents, 0), coalesce(e.purchases, 0),
    coalesce(e.messages, 0), coalesce(e.credits, 0), e.last_active,
    CASE WHEN e.purchases > 0 THEN tier_of(e.purchases, e.spent_cents) ELSE 'new' END
FROM naive.users AS u
LEFT JOIN (
    SELECT
        telegram_id,
        coalesce(sum(amount_cents) FILTER (WHERE type = 'payment_succeeded'), 0)::bigint AS spent_cents,
        count(*) FILTER (WHERE type = 'payment_succeeded') AS purchases,
        count(*) FILTER (WHERE type = 'message_received') AS messages,
        coalesce(sum(CASE type WHEN 'payment_succeeded' THEN credits ELSE -credits END), 0)::bigint AS credits,
        max(at) FILTER (WHERE type IN (
            'message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked'
        )) AS last_active
    FROM naive.events
    GROUP BY telegram_id
) AS e USING (telegram_id);

-- name: payments
-- Every payment and every failed attempt; nothing was refunded or disputed.
INSERT INTO payment_analytics (
    telegram_id, provider, charge_id, attempt_id, payment_status, settlement_status, payment_method_type, amount_cents,
    refunded_cents, remainder_cents, dispute_lost_cents, purpose, failure_code, is_auto_recharge, occurred_at, source,
    event_id
)
SELECT
    telegram_id,
    CASE method WHEN 'stars' THEN 'telegram_stars' WHEN 'card' THEN 'stripe' ELSE 'telegram_payments' END,
    CASE WHEN paid THEN 'charge-' || id END,
    CASE WHEN NOT paid THEN 'attempt-' || id END,
    CASE WHEN paid THEN 'succeeded' ELSE 'failed' END,
    CASE WHEN paid THEN 'settled' END,
    method, amount_cents, 0, CASE WHEN paid THEN amount_cents ELSE 0 END, 0, 'credits',
    CASE WHEN NOT paid THEN 'card_declined' END,
    false, at, '/bots/bench', 'event-' || id
FROM naive.events
CROSS JOIN LATERAL (SELECT type = 'payment_succeeded' AS paid) AS p
WHERE type IN ('payment_succeeded', 'payment_failed')
ORDER BY at;

-- name: content
-- The items and who unlocked them.
INSERT INTO content_buyers (content_id, telegram_id)
SELECT DISTINCT content_id, telegram_id FROM naive.events WHERE type = 'content_unlocked';
INSERT INTO content_items (
    content_id, content_type, price_cents, first_fact_at, offers, views, unlocks, unique_buyers, revenue_cents, described_at
)
SELECT
    content_id, min(content_type), min(amount_cents), min(at),
    count(*) FILTER (WHERE type = 'content_offered'),
    count(*) FILTER (WHERE type = 'content_viewed'),
    count(*) FILTER (WHERE type = 'content_unlocked'),
    count(DISTINCT telegram_id) FILTER (WHERE type = 'content_unlocked'),
    coalesce(sum(amount_cents) FILTER (WHERE type = 'content_unlocked'), 0),
    min(at)
FROM naive.events
WHERE type LIKE 'content_%'
GROUP BY content_id;

-- name: days
-- What each user did on each day, own actions packed as the projections pack them.
INSERT INTO user_days (
    telegram_id, date, messages_received, messages_sent, own_actions, purchases, spend_cents, credits_spent, unlocks, actions
)
SELECT
    telegram_id,
    at::date,
    count(*) FILTER (WHERE type = 'message_received'),
    count(*) FILTER (WHERE type = 'message_sent'),
    count(kind),
    count(*) FILTER (WHERE kind = 3),
    coalesce(sum(amount_cents) FILTER (WHERE kind = 3), 0),
    coalesce(sum(credits) FILTER (WHERE kind = 2), 0),
    count(*) FILTER (WHERE kind = 5),
    coalesce(string_agg(
        int8send((extract(epoch FROM at) * 1000000)::bigint * 8 + kind)
        || int4send(coalesce(CASE kind WHEN 2 THEN credits WHEN 3 THEN amount_cents END, 0)::integer),
        ''
    ) FILTER (WHERE kind IS NOT NULL), '')
FROM (
    SELECT *, array_position(
        ARRAY['message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked'], type
    ) AS kind
    FROM naive.events
) AS e
GROUP BY 1, 2;

-- name: sessions
-- Own actions with gaps of at most 30 minutes.
INSERT INTO user_sessions (
    telegram_id, session_start, session_end, messages_in_session, credits_spent, purchases_in_session
)
SELECT
    telegram_id, min(at), max(at), count(*) FILTER (WHERE type = 'message_received'),
    coalesce(sum(credits) FILTER (WHERE type = 'credits_spent'), 0),
    count(*) FILTER (WHERE type = 'payment_succeeded')
FROM (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY telegram_id ORDER BY at, id ROWS UNBOUNDED PRECEDING) AS number
    FROM (
        SELECT
            id, telegram_id, at, type, credits,
            coalesce(at - lag(at) OVER (PARTITION BY telegram_id ORDER BY at, id) > interval '30 minutes', true) AS is_first
        FROM naive.events
        WHERE type IN ('message_received', 'credits_spent', 'payment_succeeded', 'content_viewed', 'content_unlocked')
    ) AS e
) AS e
GROUP BY telegram_id, number
ORDER BY min(at);

-- name: metrics
-- The totals of days and hours.
INSERT INTO daily_metrics (
    date, active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents, dispute_lost_cents,
    successful_payments, failed_payments, auto_recharge_triggers, content_unlocks, credits_spent, new_disputes
)
SELECT
    date, coalesce(d.active_users, 0), coalesce(n.new_users, 0), coalesce(d.messages_received, 0),
    coalesce(d.messages_sent, 0), coalesce(d.revenue_cents, 0), 0, 0, coalesce(e.successful, 0), coalesce(e.failed, 0),
    coalesce(e.auto_recharges, 0), coalesce(d.unlocks, 0), coalesce(d.credits_spent, 0), 0
FROM (
    SELECT
        date, count(*) FILTER (WHERE own_actions > 0) AS active_users, sum(messages_received) AS messages_received,
        sum(messages_sent) AS messages_sent, sum(spend_cents) AS revenue_cents, sum(unlocks) AS unlocks,
        sum(credits_spent) AS credits_spent
    FROM user_days
    GROUP BY date
) AS d
FULL JOIN (SELECT registered_at::date AS date, count(*) AS new_users FROM naive.users GROUP BY 1) AS n USING (date)
LEFT JOIN (
    SELECT
        at::date AS date,
        count(*) FILTER (WHERE type = 'payment_succeeded') AS successful,
        count(*) FILTER (WHERE type = 'payment_failed') AS failed,
        count(*) FILTER (WHERE type = 'auto_recharge_triggered') AS auto_recharges
    FROM naive.events
    GROUP BY 1
) AS e USING (date);
INSERT INTO hourly_metrics (
    hour, events, messages, messages_sent, payments, payment_failures, refunds, disputes, dead_letters, tier_changes,
    admin_actions
)
SELECT
    date_trunc('hour', at), count(*), count(*) FILTER (WHERE type = 'message_received'),
    count(*) FILTER (WHERE type = 'message_sent'), count(*) FILTER (WHERE type = 'payment_succeeded'),
    count(*) FILTER (WHERE type = 'payment_failed'), 0, 0, 0, 0, 0
FROM naive.events
GROUP BY 1;
