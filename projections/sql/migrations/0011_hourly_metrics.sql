-- What happens by the hour, and what was refused: admin_monitoring.
-- Scope: generation
-- Beside it: any code that runs on 0010_direct_edits; it fills nothing here. Where events are applied already, a rebuild does.

CREATE TABLE hourly_metrics (
    hour             timestamptz PRIMARY KEY CHECK (date_trunc('hour', hour, 'UTC') = hour),
    events           bigint NOT NULL CHECK (events >= 0),
    messages         bigint NOT NULL CHECK (messages >= 0),
    messages_sent    bigint NOT NULL CHECK (messages_sent >= 0),
    payments         bigint NOT NULL CHECK (payments >= 0),
    payment_failures bigint NOT NULL CHECK (payment_failures >= 0),
    refunds          bigint NOT NULL CHECK (refunds >= 0),
    disputes         bigint NOT NULL CHECK (disputes >= 0),
    dead_letters     bigint NOT NULL CHECK (dead_letters >= 0),
    tier_changes     bigint NOT NULL CHECK (tier_changes >= 0),
    admin_actions    bigint NOT NULL CHECK (admin_actions >= 0)
) WITH (fillfactor = 50);

COMMENT ON TABLE hourly_metrics IS
    'One row a UTC hour in which something was counted, by the time of the events; dead letters by the broker''s time of the letter.';
COMMENT ON COLUMN hourly_metrics.events IS 'Events of the bot that are applied; what is refused or in conflict is none of them.';
COMMENT ON COLUMN hourly_metrics.messages IS 'Messages received.';
COMMENT ON COLUMN hourly_metrics.payments IS 'Charges, gross: a later refund takes nothing here.';
COMMENT ON COLUMN hourly_metrics.payment_failures IS 'Attempts to pay that failed.';
COMMENT ON COLUMN hourly_metrics.refunds IS 'Refunds that did not fail, their charge known or not.';
COMMENT ON COLUMN hourly_metrics.disputes IS 'Disputes opened, their charge known or not.';
COMMENT ON COLUMN hourly_metrics.dead_letters IS 'Records that were refused, each once a stage.';
COMMENT ON COLUMN hourly_metrics.tier_changes IS
    'Tier changes by their own time, which is the broker''s time of the record that caused them (tier_history.changed_at).';

CREATE TABLE dead_letters (
    topic            text        NOT NULL,
    partition        integer     NOT NULL CHECK (partition >= 0),
    log_offset       bigint      NOT NULL CHECK (log_offset >= 0),
    stage            text        NOT NULL CHECK (stage IN ('streams', 'projections')),
    reason           text        NOT NULL,
    detail           text        NOT NULL,
    appended_at      timestamptz NOT NULL,
    letter_partition integer     NOT NULL CHECK (letter_partition >= 0),
    letter_offset    bigint      NOT NULL CHECK (letter_offset >= 0),
    PRIMARY KEY (topic, partition, log_offset, stage)
);

CREATE INDEX dead_letters_appended_at ON dead_letters (appended_at);

COMMENT ON TABLE dead_letters IS 'One row a record of the log that a stage refused, as the first letter about it says.';
COMMENT ON COLUMN dead_letters.topic IS 'With partition and log_offset: the place of the refused record.';
COMMENT ON COLUMN dead_letters.detail IS 'What is wrong; never a quotation from the record.';
COMMENT ON COLUMN dead_letters.appended_at IS 'The broker''s time of the letter.';
COMMENT ON COLUMN dead_letters.letter_offset IS 'With letter_partition: the place of the letter itself, where the record''s bytes are.';

CREATE VIEW admin_monitoring WITH (security_invoker = true) AS
SELECT
    hour,
    events,
    messages,
    payments,
    payment_failures,
    round(100.0 * payment_failures / nullif(payments + payment_failures, 0), 2) AS failure_rate_percent,
    refunds,
    disputes,
    dead_letters,
    tier_changes,
    admin_actions,
    messages_sent
FROM hourly_metrics;

COMMENT ON VIEW admin_monitoring IS 'What happened by UTC hour: one row an hour in which something did.';
COMMENT ON COLUMN admin_monitoring.failure_rate_percent IS
    'Failed attempts to pay as a percentage of all attempts; null in an hour without any.';
