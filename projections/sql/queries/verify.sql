-- What `verify` reads of a generation, in one snapshot. The tables are unqualified: they are of the schema first in
-- search_path. Those that have the rows of users take the users as $1.

-- name: snapshot
-- Names the transaction's snapshot, so that other connections see the same.
SELECT pg_export_snapshot();

-- name: checkpoints
-- How far each partition of these topics is applied, and what was counted on the way.
SELECT topic, partition, next_offset, events_applied, duplicates, invalid, refused
FROM checkpoints
WHERE topic = ANY ($1::text[])
ORDER BY topic, partition;

-- name: refused_events
-- The events of a topic whose rows the database refused, whatever was decided about them since.
SELECT partition, log_offset FROM botpulse.refused_events WHERE topic = $1;

-- name: horizons
-- From when on the rows of tables are kept.
SELECT table_name, horizon FROM botpulse.retention_horizons;

-- name: digests
-- How many events are remembered as applied, by partition.
SELECT partition, (sum(length(digests)) / 16)::bigint AS events FROM applied_events GROUP BY partition;

-- name: all_users
-- Everybody who has a row.
SELECT telegram_id FROM users;

-- name: users
-- Users' profiles and totals.
SELECT * FROM users WHERE telegram_id = ANY ($1::bigint[]);

-- name: user_field_times
-- When each field of a user was said.
SELECT * FROM user_field_times WHERE telegram_id = ANY ($1::bigint[]);

-- name: payment_analytics
-- Attempts to pay.
SELECT * FROM payment_analytics WHERE telegram_id = ANY ($1::bigint[]);

-- name: payment_refunds
-- Refunds.
SELECT * FROM payment_refunds WHERE telegram_id = ANY ($1::bigint[]);

-- name: payment_disputes
-- Disputes.
SELECT * FROM payment_disputes WHERE telegram_id = ANY ($1::bigint[]);

-- name: auto_recharge_triggers
-- Top-ups that the auto-recharge started.
SELECT * FROM auto_recharge_triggers WHERE telegram_id = ANY ($1::bigint[]);

-- name: user_message_counts
-- Messages received from users, by kind and hour of the day.
SELECT * FROM user_message_counts WHERE telegram_id = ANY ($1::bigint[]);

-- name: user_sessions
-- Sessions.
SELECT * FROM user_sessions WHERE telegram_id = ANY ($1::bigint[]);

-- name: user_days
-- What users did by day.
SELECT * FROM user_days WHERE telegram_id = ANY ($1::bigint[]);

-- name: tier_history
-- Tier changes.
SELECT * FROM tier_history WHERE telegram_id = ANY ($1::bigint[]);

-- name: daily_metrics
-- The figures of days.
SELECT * FROM daily_metrics;

-- name: content_items
-- Content items.
SELECT * FROM content_items;

-- name: content_buyers
-- Which content items users have unlocked.
SELECT * FROM content_buyers WHERE telegram_id = ANY ($1::bigint[]);

-- name: message_patterns
-- Messages received by weekday, hour and kind.
SELECT * FROM message_patterns;

-- name: hourly_metrics
-- The figures of all hours.
SELECT * FROM hourly_metrics;

-- name: dead_letters
-- All records that were refused.
SELECT * FROM dead_letters;

-- name: user_offers
-- Offers to users by day.
SELECT * FROM user_offers WHERE telegram_id = ANY ($1::bigint[]);

-- name: purchase_triggers
-- What leads to purchases.
SELECT * FROM purchase_triggers;

-- name: subscriptions
-- Subscriptions.
SELECT * FROM subscriptions WHERE telegram_id = ANY ($1::bigint[]);

-- name: audit_log
-- What the audit trail says of users; the chain's own columns are proven apart.
SELECT topic, log_partition, log_offset, occurred_at, kind, telegram_id, source, event_id, outcome, before, after
FROM audit_log
WHERE telegram_id = ANY ($1::bigint[]);

-- name: audit_log_rows
-- How many rows the trail has up to these ends ($3) of partitions ($1, $2).
SELECT count(*)
FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS e (topic, log_partition, position)
JOIN audit_log AS a USING (topic, log_partition)
WHERE a.log_offset < e.position;
