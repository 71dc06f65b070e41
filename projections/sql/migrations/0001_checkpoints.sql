-- The schema, and what the runner keeps for itself: positions in the log, the digests of applied events, refused events.
-- Beside it: any code; nothing existed before.

CREATE SCHEMA botpulse;

COMMENT ON SCHEMA botpulse IS 'Tables folded from the log of a bot''s events.';

CREATE TABLE botpulse.schema_migrations (
    version    integer PRIMARY KEY CHECK (version > 0),
    name       text    NOT NULL,
    checksum   text    NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$')
);

COMMENT ON TABLE botpulse.schema_migrations IS 'The migrations that this database has, with the SHA-256 of each file.';

CREATE TABLE botpulse.checkpoints (
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

COMMENT ON TABLE botpulse.checkpoints IS
    'How far each partition of the log is applied. Moves in the same transaction as the rows.';
COMMENT ON COLUMN botpulse.checkpoints.epoch IS
    'Counts the claims; a writer with an older epoch is fenced out.';
COMMENT ON COLUMN botpulse.checkpoints.next_offset IS
    'The first offset that is not applied yet.';
COMMENT ON COLUMN botpulse.checkpoints.last_offset IS
    'The offset of the last record that was read; transaction markers and gaps may lie between it and next_offset.';
COMMENT ON COLUMN botpulse.checkpoints.record_digest IS
    'A digest of the record at last_offset: proof that this checkpoint belongs to this log.';
COMMENT ON COLUMN botpulse.checkpoints.last_appended_at IS
    'The broker''s time of the record at last_offset.';
COMMENT ON COLUMN botpulse.checkpoints.events_applied IS
    'Events folded into the tables since offset 0.';
COMMENT ON COLUMN botpulse.checkpoints.duplicates IS
    'Events skipped since offset 0 because the same source, id and time had been applied before.';
COMMENT ON COLUMN botpulse.checkpoints.invalid IS
    'Records skipped since offset 0 because the contract refuses them.';
COMMENT ON COLUMN botpulse.checkpoints.refused IS
    'Events since offset 0 whose rows the database refused; each is in refused_events.';
COMMENT ON COLUMN botpulse.checkpoints.owner IS
    'The worker that claimed the partition last: host and process id.';
COMMENT ON COLUMN botpulse.checkpoints.backend_pid IS
    'The owner''s database backend; with backend_start it names the one that a successor may terminate.';
COMMENT ON COLUMN botpulse.checkpoints.claimed_at IS
    'When the owner claimed the partition, by the database''s clock.';
COMMENT ON COLUMN botpulse.checkpoints.moved_at IS
    'When next_offset moved last, by the database''s clock.';

CREATE TABLE botpulse.applied_events (
    partition    integer     NOT NULL CHECK (partition >= 0),
    hour         timestamptz NOT NULL,
    first_offset bigint      NOT NULL CHECK (first_offset >= 0),
    digests      bytea       NOT NULL CHECK (length(digests) > 0 AND length(digests) % 16 = 0),
    PRIMARY KEY (partition, hour, first_offset)
);

-- Digests are random bytes: trying to compress them is wasted work.
ALTER TABLE botpulse.applied_events ALTER COLUMN digests SET STORAGE EXTERNAL;

COMMENT ON TABLE botpulse.applied_events IS
    'Which events are applied: one row a batch, partition and hour of the events'' time, for ever.';
COMMENT ON COLUMN botpulse.applied_events.first_offset IS
    'The offset of the first event in the row.';
COMMENT ON COLUMN botpulse.applied_events.digests IS
    'Digests of (source, id, time), 16 bytes each, one after the other.';

CREATE TABLE botpulse.refused_events (
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    log_offset  bigint      NOT NULL,
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    appended_at timestamptz NOT NULL,
    state       text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'redriven', 'accepted')),
    PRIMARY KEY (topic, partition, log_offset)
);

CREATE INDEX refused_events_open ON botpulse.refused_events (topic, partition) WHERE state = 'open';

COMMENT ON TABLE botpulse.refused_events IS
    'Events whose rows the database refused. The service is not ready while one is open.';
COMMENT ON COLUMN botpulse.refused_events.state IS
    'open; redriven (a copy was applied); accepted (a person decided to leave it out).';
