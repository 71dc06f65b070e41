-- Which events are applied, for ever: packed digests, one row a batch, partition and hour.

-- name: digests_of_hours
-- All digests of the given partitions and hours.
SELECT a.partition, a.hour, a.digests
FROM unnest($1::integer[], $2::timestamptz[]) AS wanted (partition, hour)
JOIN applied_events AS a ON a.partition = wanted.partition AND a.hour = wanted.hour;

-- name: remember_digests
-- The digests of a batch's events, one row a partition and hour. Never updated.
INSERT INTO applied_events (partition, hour, first_offset, digests)
SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::bigint[], $4::bytea[]);
