-- What the command line reads: positions, and what the demo shows.

-- name: positions
-- How far each partition of some topics is applied.
SELECT topic, partition, next_offset
FROM botpulse.checkpoints
WHERE topic = ANY ($1::text[]);

-- name: checkpoints
-- How far each partition of some topics is applied, and by whom. When a backend started not every role may see; then
-- the process id alone has to do.
SELECT
    c.topic, c.partition, c.next_offset, c.epoch, c.owner,
    extract(epoch FROM clock_timestamp() - c.moved_at)::float8 AS idle_seconds,
    EXISTS (
        SELECT FROM pg_stat_activity AS a
        WHERE a.pid = c.backend_pid AND coalesce(a.backend_start = c.backend_start, true)
    ) AS connected
FROM botpulse.checkpoints AS c
WHERE c.topic = ANY ($1::text[]);

-- name: is_migrated
-- Whether the tables that the projections write are there.
SELECT to_regclass('botpulse.checkpoints') IS NOT NULL AND to_regclass('botpulse.users') IS NOT NULL;

-- name: users
-- What every user has come to, as the demo compares it with the simulator's books.
SELECT telegram_id, total_spent_cents, purchase_count, lifetime_messages, message_credits, current_tier
FROM botpulse.users;

-- name: days
-- All daily figures, as the demo compares them with the simulator's books.
SELECT * FROM botpulse.daily_metrics;

-- name: content_items
-- All content items, as the demo compares them with the simulator's books.
SELECT * FROM botpulse.content_items;

-- name: message_patterns
-- All message patterns, as the demo compares them with the simulator's books.
SELECT * FROM botpulse.message_patterns;

-- name: communication_preferences
-- Everybody's preferences, as the demo compares them with the simulator's books.
SELECT * FROM botpulse.communication_preferences;

-- name: hourly_metrics
-- All hours with events, as the demo compares them with the simulator's books; in others are letters or tier changes only.
SELECT * FROM botpulse.hourly_metrics WHERE events > 0;

-- name: letters_by_reason
-- How many records have a dead letter, by its reason.
SELECT reason, count(*) AS records FROM botpulse.dead_letters GROUP BY reason ORDER BY reason;

-- name: purchase_triggers
-- What leads to purchases, as the demo compares it with the simulator's books.
SELECT * FROM botpulse.purchase_triggers;
