-- The schema, and what outlives every build of the tables: which migrations there are, and what was decided about events
-- that the database refused.
-- Scope: installation
-- Beside it: any code; nothing existed before.

CREATE SCHEMA botpulse;

COMMENT ON SCHEMA botpulse IS 'Tables folded from the log of a bot''s events.';

CREATE TABLE botpulse.schema_migrations (
    version    integer PRIMARY KEY CHECK (version > 0),
    name       text    NOT NULL,
    checksum   text    NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$')
);

COMMENT ON TABLE botpulse.schema_migrations IS 'The migrations that this database has, with the SHA-256 of each file.';

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
