-- Events whose rows the database refused.

-- name: open_refusals
-- How many refused events nobody has dealt with yet.
SELECT count(*) FROM refused_events WHERE state = 'open';

-- name: record_refusals
-- Keeps what was refused and why. A rebuild meets it again: what was decided about it stands.
INSERT INTO refused_events (topic, partition, log_offset, reason, detail, appended_at)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[])
ON CONFLICT (topic, partition, log_offset) DO NOTHING;

-- name: count_refusals
-- Moves refused events of the batch from the count of applied to the count of refused ones.
UPDATE checkpoints AS c SET
    events_applied = c.events_applied - r.refused,
    refused = c.refused + r.refused
FROM (
    SELECT topic, partition, count(*) AS refused
    FROM unnest($1::text[], $2::integer[]) AS refused (topic, partition)
    GROUP BY topic, partition
) AS r
WHERE c.topic = r.topic AND c.partition = r.partition;

-- name: close_redriven
-- Copies of refused events were applied: nothing is left to do about their originals, whatever was decided before.
UPDATE refused_events AS r SET state = 'redriven'
FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS copied (topic, partition, log_offset)
WHERE r.topic = copied.topic AND r.partition = copied.partition AND r.log_offset = copied.log_offset
    AND r.state <> 'redriven';

-- name: accept
-- A person ($4) decides, for a reason ($5), that a refused event stays out of the tables. Nothing where it is not open.
UPDATE refused_events SET
    state = 'accepted',
    decided_by = $4,
    decided_at = clock_timestamp(),
    note = $5
WHERE topic = $1 AND partition = $2 AND log_offset = $3 AND state = 'open'
RETURNING decided_at;

-- name: find
-- What became of a refused event.
SELECT state, decided_by, decided_at, note
FROM refused_events
WHERE topic = $1 AND partition = $2 AND log_offset = $3;

-- name: accepted
-- The refused events that a person decided to leave out.
SELECT topic, partition, log_offset FROM botpulse.refused_events WHERE state = 'accepted';

-- name: constraints_now
-- Deferred constraints are checked here rather than at the commit, where no single event could be told apart any more.
SET CONSTRAINTS ALL IMMEDIATE;
