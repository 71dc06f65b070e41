-- Positions of the projections in the log. Every statement touches its rows in one transaction of its own, except
-- `advance`, which is the first statement of a batch. Names are unqualified: they belong to the generation that is first in
-- search_path.

-- name: act_as_login
-- Until the transaction ends the session has the rights of its login, not of the role that it acts as.
SET LOCAL ROLE NONE;

-- name: own_backend
-- What names this session's backend: process ids are used again.
SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- name: generation
-- What tells one generation of the tables from the next one while a session lasts.
SELECT 'checkpoints'::regclass::oid::bigint;

-- name: claim
-- Makes this backend the owner of one partition: the epoch goes up by one, so that every older writer's `advance`
-- finds nothing. Waits while the owner before has a batch open.
INSERT INTO checkpoints AS c
    (topic, partition, epoch, next_offset, owner, backend_pid, backend_start, claimed_at, moved_at)
VALUES ($1, $2, 1, 0, $3, $4, $5, clock_timestamp(), clock_timestamp())
ON CONFLICT (topic, partition) DO UPDATE SET
    epoch = c.epoch + 1,
    owner = excluded.owner,
    backend_pid = excluded.backend_pid,
    backend_start = excluded.backend_start,
    claimed_at = excluded.claimed_at
RETURNING c.epoch, c.next_offset, c.last_offset, c.record_digest;

-- name: renew
-- After a lost connection: the same owner goes on with a new backend, if nobody has claimed the partition since. Waits
-- while the lost backend still has a batch open, so that the offset it returns is final.
UPDATE checkpoints AS c SET
    backend_pid = $4,
    backend_start = $5
WHERE c.topic = $1 AND c.partition = $2 AND c.epoch = $3
RETURNING c.next_offset;

-- name: recorded_owner
-- The backend of the worker that claimed a partition last.
SELECT backend_pid, backend_start FROM checkpoints WHERE topic = $1 AND partition = $2;

-- name: terminate_backend
-- Ends a backend that is frozen or cut off and holds a partition's row; never this session's own.
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid = $1 AND backend_start = $2 AND pid <> pg_backend_pid();

-- name: advance
-- The fence, first statement of every batch: moves all partitions of the batch, each only if the epoch and the offset are
-- still the writer's. Fewer rows than asked means that another writer took over.
UPDATE checkpoints AS c SET
    next_offset = b.next_offset,
    last_offset = coalesce(b.last_offset, c.last_offset),
    record_digest = coalesce(b.record_digest, c.record_digest),
    last_appended_at = coalesce(b.last_appended_at, c.last_appended_at),
    events_applied = c.events_applied + b.events_applied,
    duplicates = c.duplicates + b.duplicates,
    invalid = c.invalid + b.invalid,
    moved_at = clock_timestamp()
FROM unnest(
    $1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::timestamptz[],
    $9::bigint[], $10::bigint[], $11::bigint[]
) AS b (
    topic, partition, epoch, expected_offset, next_offset, last_offset, record_digest, last_appended_at,
    events_applied, duplicates, invalid
)
WHERE c.topic = b.topic AND c.partition = b.partition AND c.epoch = b.epoch AND c.next_offset = b.expected_offset
RETURNING c.topic, c.partition;
