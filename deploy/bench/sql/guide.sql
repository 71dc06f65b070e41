-- The questions of the analysts' guide, word for word; the functions that it calls are upkeep and no questions.

-- name: metrics_of_the_week
-- daily metrics, last week
SELECT * FROM daily_metrics WHERE date >= CURRENT_DATE - 7;

-- name: top_users
-- users by lifetime value, top 20
SELECT 
    username, 
    total_spent_dollars, 
    current_tier, 
    activity_status 
FROM user_dashboard 
ORDER BY total_spent_dollars DESC LIMIT 20;

-- name: revenue_by_day
-- daily revenue, last 30 days
SELECT date, total_revenue, success_rate_percent 
FROM revenue_dashboard 
WHERE date >= CURRENT_DATE - 30;

-- name: content_by_revenue
-- content by revenue
SELECT content_type, total_revenue, purchases_per_day 
FROM content_performance 
ORDER BY total_revenue DESC;

-- name: business_by_day
-- business metrics, last 30 days
SELECT 
    date,
    active_users,
    new_users,
    revenue_cents / 100 as revenue_dollars,
    auto_recharge_triggers,
    content_unlocks
FROM daily_metrics 
ORDER BY date DESC LIMIT 30;

-- name: sessions
-- average session, last week
SELECT 
    AVG(time_spent_seconds / 60) as avg_session_minutes,
    AVG(messages_in_session) as avg_messages_per_session,
    AVG(credits_spent) as avg_credits_per_session
FROM user_sessions 
WHERE session_start >= CURRENT_DATE - 7;

-- name: payment_methods
-- payment success by method, all time
SELECT 
    payment_method_type,
    COUNT(*) as total_attempts,
    COUNT(*) FILTER (WHERE payment_status = 'succeeded') as successful,
    ROUND(100.0 * COUNT(*) FILTER (WHERE payment_status = 'succeeded') / COUNT(*), 2) as success_rate
FROM payment_analytics 
GROUP BY payment_method_type;

-- name: referrals
-- referral effectiveness, all users
SELECT 
    referrer.username as referrer,
    COUNT(referred.telegram_id) as referrals_made,
    SUM(referred.total_spent_cents) / 100 as referred_revenue
FROM users referrer
JOIN users referred ON referrer.telegram_id = referred.referred_by
GROUP BY referrer.username, referrer.telegram_id
ORDER BY referrals_made DESC;

-- name: active_users
-- ten active users
SELECT * FROM user_dashboard WHERE activity_status = 'active' LIMIT 10;

-- name: revenue_dashboard
-- revenue dashboard, last 30 days
SELECT * FROM revenue_dashboard WHERE date >= CURRENT_DATE - 30;

-- name: best_content
-- content that earned over $100
SELECT * FROM content_performance WHERE total_revenue > 100;

-- name: last_hours
-- admin monitoring, last 24 hours
SELECT * FROM admin_monitoring WHERE hour >= NOW() - INTERVAL '24 hours';

-- name: count_users
-- count of user_dashboard
SELECT COUNT(*) FROM user_dashboard;

-- name: count_days
-- count of daily_metrics
SELECT COUNT(*) FROM daily_metrics;

-- name: valuable_users
-- users who spent over $50
SELECT username, total_spent_dollars, current_tier 
FROM user_dashboard 
WHERE total_spent_dollars > 50 
ORDER BY total_spent_dollars DESC;

-- name: content_types
-- content types by average revenue
SELECT content_type, AVG(total_revenue), COUNT(*) 
FROM content_performance 
GROUP BY content_type 
ORDER BY AVG(total_revenue) DESC;

-- name: churning_users
-- inactive users who spent over $20
SELECT username, last_active, message_credits 
FROM user_dashboard 
WHERE activity_status = 'inactive' 
AND total_spent_dollars > 20;

-- name: monthly_growth
-- growth by month
SELECT 
    DATE_TRUNC('month', date) as month,
    SUM(new_users) as new_users,
    SUM(revenue_cents) / 100 as revenue
FROM daily_metrics 
GROUP BY DATE_TRUNC('month', date) 
ORDER BY month DESC;
