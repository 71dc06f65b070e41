-- The audit trail: kept for ever, whatever becomes of the tables that are folded again.
-- Scope: installation
-- Beside it: any code that runs on 0010_direct_edits; that code writes no audit trail, so stop it first.

CREATE TABLE botpulse.audit_log (
    topic         text        NOT NULL,
    log_partition integer     NOT NULL CHECK (log_partition >= 0),
    seq           bigint      NOT NULL CHECK (seq > 0),
    format        smallint    NOT NULL CHECK (format > 0),
    log_offset    bigint      NOT NULL CHECK (log_offset >= 0),
    occurred_at   timestamptz NOT NULL,
    kind          text        NOT NULL,
    telegram_id   bigint      NOT NULL,
    source        text        NOT NULL,
    event_id      text        NOT NULL,
    outcome       text        NOT NULL CHECK (outcome IN ('applied', 'without_effect', 'conflict')),
    before        json,
    after         json,
    hash          bytea       NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (topic, log_partition, seq)
);

CREATE INDEX audit_log_user ON botpulse.audit_log (telegram_id, occurred_at);
CREATE INDEX audit_log_occurred_at ON botpulse.audit_log USING brin (occurred_at);

COMMENT ON TABLE botpulse.audit_log IS
    'What admins did, what changed about users, and every fact about money, in the order of the log. Nobody changes a row; each is hashed with the one before it in its chain, one chain a partition of the log.';
COMMENT ON COLUMN botpulse.audit_log.seq IS 'The place in the chain of this topic and partition, from 1 without a gap.';
COMMENT ON COLUMN botpulse.audit_log.format IS 'Which members the hash covers, and how they are written.';
COMMENT ON COLUMN botpulse.audit_log.log_offset IS 'The record on the log that this row is about.';
COMMENT ON COLUMN botpulse.audit_log.occurred_at IS 'The event''s own time; the chain follows the log, which a late event enters late.';
COMMENT ON COLUMN botpulse.audit_log.kind IS 'The event''s type without prefix and version: payment.refunded and so on.';
COMMENT ON COLUMN botpulse.audit_log.telegram_id IS 'The user whom the event is about; of an admin''s action the admin.';
COMMENT ON COLUMN botpulse.audit_log.outcome IS
    'applied; without_effect (known before, or a later word counts); conflict (the same charge, refund, dispute or attempt with another amount: refused).';
COMMENT ON COLUMN botpulse.audit_log.before IS
    'Of a user''s change the fields that changed, as the tables had them when the event was read.';
COMMENT ON COLUMN botpulse.audit_log.after IS 'The same fields after it; of money and admin actions what the event says.';
COMMENT ON COLUMN botpulse.audit_log.hash IS
    'sha256() of the hash before it (nothing for the first) followed by the row as JSON array, in UTF-8: format, topic, log_partition, seq, log_offset, microseconds of occurred_at, kind, telegram_id, source, event_id, outcome, before, after.';

CREATE TABLE botpulse.audit_chains (
    topic         text    NOT NULL,
    log_partition integer NOT NULL CHECK (log_partition >= 0),
    seq           bigint  NOT NULL CHECK (seq > 0),
    log_offset    bigint  NOT NULL CHECK (log_offset >= 0),
    hash          bytea   NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (topic, log_partition)
) WITH (fillfactor = 50);

COMMENT ON TABLE botpulse.audit_chains IS
    'The head of each chain of the audit log. The heads are published too, so that a chain which was written anew shows.';
COMMENT ON COLUMN botpulse.audit_chains.seq IS 'The place of the chain''s last row.';
COMMENT ON COLUMN botpulse.audit_chains.log_offset IS 'The record on the log that the chain''s last row is about.';
COMMENT ON COLUMN botpulse.audit_chains.hash IS 'The hash of the chain''s last row.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON botpulse.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION botpulse.refuse_change();
