-- What `botpulse maintenance run` does.

-- name: daily_metrics
-- Repairs the figures of yesterday and today; how many days differed.
SELECT botpulse.update_daily_metrics();

-- name: clean_up
-- Removes one portion of what is too old.
SELECT table_name, removed_rows, horizon, is_finished FROM botpulse.cleanup_old_data();

-- name: tables
-- Every table, the largest last; of a partitioned one its partitions.
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = 'botpulse'::regnamespace AND c.relkind IN ('r', 'm')
ORDER BY pg_relation_size(c.oid);

-- name: vacuum
-- Makes room of dead rows and counts anew what the planner goes by; {table} is filled in, quoted.
VACUUM (ANALYZE) botpulse.{table};

-- name: sample
-- Notes today's sizes.
SELECT botpulse.sample_table_sizes();

-- name: health
-- What an operator should look at.
SELECT "check", status, value, advice FROM botpulse.check_database_health();
