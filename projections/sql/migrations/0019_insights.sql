-- Views for the questions behind the tables: benefits, referrals, growth, and who is about to leave.
-- Scope: generation
-- Beside it: any code that runs on 0018_subscriptions.

CREATE INDEX users_paying_activity ON users (last_active_day) WHERE purchase_count > 0;

CREATE VIEW user_benefits WITH (security_invoker = true) AS
SELECT
    u.telegram_id,
    u.username,
    u.current_tier,
    coalesce(b.benefits, '{}') AS benefits
FROM users AS u
LEFT JOIN (
    SELECT tier, jsonb_object_agg(benefit, value) AS benefits
    FROM tier_benefits
    GROUP BY tier
) AS b ON b.tier = u.current_tier;

COMMENT ON VIEW user_benefits IS 'What each user''s tier brings, under the current rules.';
COMMENT ON COLUMN user_benefits.benefits IS 'Each benefit with its value (tier_benefits).';

CREATE VIEW referral_effectiveness WITH (security_invoker = true) AS
SELECT
    referrer.telegram_id,
    referrer.username,
    count(*) AS referrals_made,
    count(*) FILTER (WHERE referred.purchase_count > 0) AS referrals_paying,
    round(100.0 * count(*) FILTER (WHERE referred.purchase_count > 0) / count(*), 2) AS paying_percent,
    round(sum(referred.total_spent_cents) / 100.0, 2) AS referred_revenue
FROM users AS referrer
JOIN users AS referred ON referred.referred_by = referrer.telegram_id
GROUP BY referrer.telegram_id, referrer.username;

COMMENT ON VIEW referral_effectiveness IS 'One row a user who brought others, with what those have spent, in US dollars.';
COMMENT ON COLUMN referral_effectiveness.referrals_paying IS 'Referred users with a purchase of which something is left.';

CREATE VIEW monthly_growth WITH (security_invoker = true) AS
WITH months AS (
    SELECT
        date_trunc('month', date::timestamp)::date AS month,
        sum(new_users)::bigint AS new_users,
        sum(revenue_cents)::bigint AS revenue_cents,
        sum(net_revenue_cents)::bigint AS net_revenue_cents
    FROM daily_metrics
    GROUP BY 1
)
SELECT
    m.month,
    m.new_users,
    round(m.revenue_cents / 100.0, 2) AS revenue,
    round(m.net_revenue_cents / 100.0, 2) AS net_revenue,
    round(100.0 * (m.new_users - b.new_users) / nullif(b.new_users, 0), 2) AS new_users_growth_percent,
    round(100.0 * (m.revenue_cents - b.revenue_cents) / nullif(b.revenue_cents, 0), 2) AS revenue_growth_percent
FROM months AS m
LEFT JOIN months AS b ON b.month = (m.month - interval '1 month')::date;

COMMENT ON VIEW monthly_growth IS 'New users and revenue by UTC month, in US dollars, and how both grew over the month before.';
COMMENT ON COLUMN monthly_growth.revenue_growth_percent IS 'Null where the month before brought nothing.';

CREATE VIEW churn_warnings WITH (security_invoker = true) AS
SELECT
    u.telegram_id,
    u.username,
    u.current_tier,
    round(u.total_spent_cents / 100.0, 2) AS total_spent_dollars,
    u.purchase_count,
    u.message_credits,
    u.last_active,
    u.last_active + t.active_within AS inactive_since,
    u.is_blocked
FROM users AS u
CROSS JOIN (
    SELECT within AS active_within, now() - within AS latest, now() - within - interval '7 days' AS earliest
    FROM activity_thresholds
    WHERE status = 'active'
) AS t
WHERE u.purchase_count > 0
    AND u.last_active_day BETWEEN (t.earliest AT TIME ZONE 'UTC')::date AND (t.latest AT TIME ZONE 'UTC')::date
    AND u.last_active >= t.earliest
    AND u.last_active < t.latest;

COMMENT ON VIEW churn_warnings IS
    'Paying users who turned inactive in the last 7 days, as of now: an early warning, while there is time to win them back.';
COMMENT ON COLUMN churn_warnings.inactive_since IS 'When the user stopped to count as active.';
