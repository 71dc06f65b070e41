-- Indexes that hold all that a dashboard asks of them, measured with a million users.
-- Scope: generation
-- Beside it: any code that runs on 0019_insights.

-- Who was brought by whom, and what those have spent, without a look at their rows in between. What is spent is indexed
-- already (idx_users_spending), so no update of a user touches an index more than before.
DROP INDEX idx_users_referred_by;
CREATE INDEX idx_users_referred_by ON users (referred_by) INCLUDE (telegram_id, total_spent_cents)
WHERE referred_by IS NOT NULL;

-- Success by method over all time. Refunds and disputes change neither column.
CREATE INDEX payment_analytics_outcome_by_method ON payment_analytics (payment_method_type, payment_status);
