-- The first dashboards: users and revenue, as of now.
-- Scope: generation
-- Beside it: any code that runs on 0003_tables.

CREATE VIEW user_dashboard WITH (security_invoker = true) AS
SELECT
    u.telegram_id,
    u.username,
    u.current_tier,
    round(u.total_spent_cents / 100.0, 2) AS total_spent_dollars,
    u.purchase_count,
    u.lifetime_messages,
    u.message_credits,
    u.last_active,
    CASE
        WHEN s.silence <= (SELECT within FROM activity_thresholds WHERE status = 'active') THEN 'active'
        WHEN s.silence <= (SELECT within FROM activity_thresholds WHERE status = 'inactive') THEN 'inactive'
        ELSE 'churned'
    END AS activity_status,
    u.auto_recharge_enabled,
    CASE
        WHEN u.is_blocked OR s.silence IS NULL THEN 100
        ELSE least(100, greatest(0, floor(
            100 * extract(epoch FROM s.silence)
            / extract(epoch FROM (SELECT within FROM activity_thresholds WHERE status = 'inactive'))
        )))
    END::integer AS churn_risk,
    u.registered_at,
    u.tier_changed_at,
    u.is_blocked
FROM users AS u
CROSS JOIN LATERAL (SELECT now() - coalesce(u.last_active, u.registered_at) AS silence) AS s;

COMMENT ON VIEW user_dashboard IS 'Each user''s tier, lifetime value and activity, as of now. Of personal data the username only.';
COMMENT ON COLUMN user_dashboard.total_spent_dollars IS 'What is left of all charges, in US dollars.';
COMMENT ON COLUMN user_dashboard.activity_status IS
    'active, inactive or churned by the time since the last own action, else since the registration (activity_thresholds).';
COMMENT ON COLUMN user_dashboard.churn_risk IS
    '0 to 100: the time since the last sign of life as a percentage of the time after which a user counts as churned; 100 for one who blocked the bot.';

CREATE VIEW revenue_dashboard WITH (security_invoker = true) AS
SELECT
    date,
    round(revenue_cents / 100.0, 2) AS total_revenue,
    round(net_revenue_cents / 100.0, 2) AS net_revenue,
    round(refunded_cents / 100.0, 2) AS refunded,
    round(dispute_lost_cents / 100.0, 2) AS dispute_lost,
    successful_payments + failed_payments AS transactions,
    successful_payments AS successful,
    failed_payments AS failed,
    round(100.0 * successful_payments / nullif(successful_payments + failed_payments, 0), 2) AS success_rate_percent,
    new_disputes
FROM daily_metrics;

COMMENT ON VIEW revenue_dashboard IS 'Revenue in US dollars and attempts to pay by UTC day.';
COMMENT ON COLUMN revenue_dashboard.transactions IS 'Attempts to pay, succeeded and failed.';
COMMENT ON COLUMN revenue_dashboard.success_rate_percent IS 'Succeeded attempts of all attempts; null on a day without any.';
