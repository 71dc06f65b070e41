-- What the demo shows at its end: the first questions that people have for their bot.

-- name: daily_metrics
-- Daily business metrics of the last week.
SELECT * FROM botpulse.daily_metrics WHERE date >= CURRENT_DATE - 7 ORDER BY date DESC;

-- name: best_customers
-- Customer lifetime value, the highest first.
SELECT username, total_spent_dollars, current_tier, activity_status, purchase_count, lifetime_messages, message_credits
FROM botpulse.user_dashboard
ORDER BY total_spent_dollars DESC, telegram_id LIMIT 10;

-- name: revenue
-- Revenue and payment success of the last week.
SELECT date, total_revenue, net_revenue, transactions, failed, success_rate_percent
FROM botpulse.revenue_dashboard
WHERE date >= CURRENT_DATE - 7 ORDER BY date DESC;

-- name: tiers
-- How many users each tier has, and what they have spent.
SELECT current_tier, count(*) AS users, round(sum(total_spent_cents) / 100.0, 2) AS spent_dollars
FROM botpulse.users
GROUP BY current_tier ORDER BY min(total_spent_cents) DESC, spent_dollars DESC;

-- name: payment_methods
-- Payment success rates by method.
SELECT
    payment_method_type,
    count(*) AS attempts,
    count(*) FILTER (WHERE payment_status = 'succeeded') AS successful,
    round(100.0 * count(*) FILTER (WHERE payment_status = 'succeeded') / count(*), 2) AS success_rate
FROM botpulse.payment_analytics
GROUP BY payment_method_type ORDER BY attempts DESC;
