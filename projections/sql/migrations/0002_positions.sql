-- What the runner keeps of a generation: its positions in the log, and the digests of the events that are applied in it.
-- Scope: generation
-- Beside it: any code; nothing existed before.

CREATE TABLE checkpoints (
    topic            text        NOT NULL,
    partition        integer     NOT NULL CHECK (partition >= 0),
    epoch            bigint      NOT NULL CHECK (epoch > 0),
    next_offset      bigint      NOT NULL CHECK (next_offset >= 0),
    last_offset      bigint      CHECK (last_offset < next_offset),
    record_digest    bytea       CHECK (length(record_digest) = 16),
    last_appended_at timestamptz,
    events_applied   bigint      NOT NULL DEFAULT 0,
    duplicates       bigint      NOT NULL DEFAULT 0,
    invalid          bigint      NOT NULL DEFAULT 0,
    refused          bigint      NOT NULL DEFAULT 0,
    owner            text        NOT NULL,
    backend_pid      integer     NOT NULL,
    backend_start    timestamptz NOT NULL,
    claimed_at       timestamptz NOT NULL,
    moved_at         timestamptz NOT NULL,
    PRIMARY KEY (topic, partition),
    CHECK ((last_offset IS NULL) = (record_digest IS NULL)),
    CHECK ((last_offset IS NULL) = (last_appended_at IS NULL))
) WITH (fillfactor = 50);

COMMENT ON TABLE checkpoints IS
    'How far each partition of the log is applied. Moves in the same transaction as the rows.';
COMMENT ON COLUMN checkpoints.epoch IS
    'Counts the claims; a writer with an older epoch is fenced out.';
COMMENT ON COLUMN checkpoints.next_offset IS
    'The first offset that is not applied yet.';
COMMENT ON COLUMN checkpoints.last_offset IS
    'The offset of the last record that was read; transaction markers and gaps may lie between it and next_offset.';
COMMENT ON COLUMN checkpoints.record_digest IS
    'A digest of the record at last_offset: proof that this checkpoint belongs to this log.';
COMMENT ON COLUMN checkpoints.last_appended_at IS
    'The broker''s time of the record at last_offset.';
COMMENT ON COLUMN checkpoints.events_applied IS
    'Events folded into the tables since offset 0.';
COMMENT ON COLUMN checkpoints.duplicates IS
    'Events skipped since offset 0 because the same source, id and time had been applied before.';
COMMENT ON COLUMN checkpoints.invalid IS
    'Records skipped since offset 0 because the contract refuses them.';
COMMENT ON COLUMN checkpoints.refused IS
    'Events since offset 0 whose rows the database refused; each is in refused_events.';
COMMENT ON COLUMN checkpoints.owner IS
    'The worker that claimed the partition last: host and process id.';
COMMENT ON COLUMN checkpoints.backend_pid IS
    'The owner''s database backend; with backend_start it names the one that a successor may terminate.';
COMMENT ON COLUMN checkpoints.claimed_at IS
    'When the owner claimed the partition, by the database''s clock.';
COMMENT ON COLUMN checkpoints.moved_at IS
    'When next_offset moved last, by the database''s clock.';

CREATE TABLE applied_events (
    partition    integer     NOT NULL CHECK (partition >= 0),
    hour         timestamptz NOT NULL,
    first_offset bigint      NOT NULL CHECK (first_offset >= 0),
    digests      bytea       NOT NULL CHECK (length(digests) > 0 AND length(digests) % 16 = 0),
    PRIMARY KEY (partition, hour, first_offset)
);

-- Digests are random bytes: trying to compress them is wasted work.
ALTER TABLE applied_events ALTER COLUMN digests SET STORAGE EXTERNAL;

COMMENT ON TABLE applied_events IS
    'Which events are applied: one row a batch, partition and hour of the events'' time, for ever.';
COMMENT ON COLUMN applied_events.first_offset IS
    'The offset of the first event in the row.';
COMMENT ON COLUMN applied_events.digests IS
    'Digests of (source, id, time), 16 bytes each, one after the other.';
