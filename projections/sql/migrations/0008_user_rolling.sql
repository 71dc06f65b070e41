-- Rolling windows of each user, as of now.
-- Scope: generation
-- Beside it: any code that runs on 0003_tables.

CREATE FUNCTION unpack_actions(actions bytea)
RETURNS TABLE (occurred_at timestamptz, kind integer, amount bigint)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $unpack$
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
$unpack$;

COMMENT ON FUNCTION unpack_actions(bytea) IS 'The actions of user_days.actions, a row each: when, the number of its kind, and its credits or cents.';

CREATE VIEW user_rolling WITH (security_invoker = true) AS
SELECT
    u.telegram_id,
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
FROM users AS u
CROSS JOIN LATERAL (
    SELECT
        date_trunc('hour', now(), 'UTC') - interval '23 hours' AS since,
        date_trunc('hour', now(), 'UTC') + interval '1 hour' AS until,
        (now() AT TIME ZONE 'UTC')::date AS today
) AS t
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE a.kind = 1) AS messages_24h,
        count(*) FILTER (WHERE a.kind = 3) AS purchases_24h,
        coalesce(sum(a.amount) FILTER (WHERE a.kind = 3), 0)::bigint AS spend_cents_24h,
        coalesce(sum(a.amount) FILTER (WHERE a.kind = 2), 0)::bigint AS credits_spent_24h,
        count(*) FILTER (WHERE a.kind = 5) AS unlocks_24h
    FROM user_days AS own
    CROSS JOIN LATERAL unpack_actions(own.actions) AS a
    WHERE own.telegram_id = u.telegram_id
        AND own.date BETWEEN t.today - 1 AND t.today
        AND a.occurred_at >= t.since
        AND a.occurred_at < t.until
) AS h
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(own.messages_received) FILTER (WHERE own.date > t.today - 7), 0)::bigint AS messages_7d,
        coalesce(sum(own.purchases) FILTER (WHERE own.date > t.today - 7), 0)::bigint AS purchases_7d,
        coalesce(sum(own.spend_cents) FILTER (WHERE own.date > t.today - 7), 0)::bigint AS spend_cents_7d,
        coalesce(sum(own.credits_spent) FILTER (WHERE own.date > t.today - 7), 0)::bigint AS credits_spent_7d,
        coalesce(sum(own.unlocks) FILTER (WHERE own.date > t.today - 7), 0)::bigint AS unlocks_7d,
        coalesce(sum(own.messages_received), 0)::bigint AS messages_30d,
        coalesce(sum(own.purchases), 0)::bigint AS purchases_30d,
        coalesce(sum(own.spend_cents), 0)::bigint AS spend_cents_30d,
        coalesce(sum(own.credits_spent), 0)::bigint AS credits_spent_30d,
        coalesce(sum(own.unlocks), 0)::bigint AS unlocks_30d
    FROM user_days AS own
    WHERE own.telegram_id = u.telegram_id AND own.date > t.today - 30 AND own.date <= t.today
) AS d;

COMMENT ON VIEW user_rolling IS
    'What each user did of late, as of now: the last 24 hours of the clock, and the last 7 and 30 UTC days, each with the current one. Purchases and spend are gross; what lies after the current hour or day is left out. Meant for some users at a time: each is worked out from the user''s days.';
COMMENT ON COLUMN user_rolling.messages_24h IS 'Messages received since the begin of the hour 23 hours ago; the other columns of 24h, 7d and 30d alike.';
