-- What maintenance keeps beside the generations: its settings, from when on rows are kept, how the tables grow.
-- Scope: installation
-- Beside it: any code that runs on 0012_purchase_triggers.

CREATE TABLE botpulse.maintenance_settings (
    setting       text    PRIMARY KEY,
    value         text    NOT NULL,
    default_value text    NOT NULL,
    least         bigint  NOT NULL,
    most          bigint  NOT NULL CHECK (most >= least),
    or_forever    boolean NOT NULL,
    meaning       text    NOT NULL
);

COMMENT ON TABLE botpulse.maintenance_settings IS
    'How long rows are kept, and when health warns. Changed by set_maintenance_setting(setting, value), which checks the value; whoever reads one checks it again.';
COMMENT ON COLUMN botpulse.maintenance_settings.value IS 'A whole number from least to most; also forever, where or_forever says so.';

CREATE TABLE botpulse.retention_horizons (
    table_name   text        PRIMARY KEY,
    horizon      timestamptz NOT NULL,
    removed_rows bigint      NOT NULL CHECK (removed_rows >= 0),
    cleaned_at   timestamptz NOT NULL
);

COMMENT ON TABLE botpulse.retention_horizons IS
    'From when on the rows of a table are kept. Older facts count in every total; their rows are never written again, nor by a rebuild.';
COMMENT ON COLUMN botpulse.retention_horizons.removed_rows IS 'How many rows cleanup_old_data() has ever removed.';
COMMENT ON COLUMN botpulse.retention_horizons.cleaned_at IS 'When it looked at the table last.';

CREATE TABLE botpulse.table_sizes (
    table_name text   NOT NULL,
    sampled_on date   NOT NULL,
    bytes      bigint NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (table_name, sampled_on)
);

COMMENT ON TABLE botpulse.table_sizes IS
    'How large each table was on a day, its indexes included; one sample a day, taken by `botpulse maintenance`.';

INSERT INTO botpulse.maintenance_settings (setting, value, default_value, least, most, or_forever, meaning)
SELECT s.setting, s.default_value, s.default_value, s.least, s.most, s.or_forever, s.meaning
FROM (
    VALUES
        ('user_sessions_keep_days', '730', 31, 36500, true,
            'How many days sessions are kept; they can be had again from user_days, which is kept for ever.'),
        ('hourly_metrics_keep_days', '400', 31, 36500, true,
            'How many days the figures of hours, and the dead letters that they count, are kept.'),
        ('table_sizes_keep_days', '400', 31, 36500, true, 'How many days samples of table sizes are kept.'),
        ('cleanup_rows', '200000', 1, 100000000, false, 'How many rows one call of cleanup_old_data() removes at most.'),
        ('lag_warn_seconds', '60', 1, 31536000, false,
            'How old a record may be when it is applied, before health warns of lag.'),
        ('lag_alert_seconds', '600', 1, 31536000, false, 'The same, before it raises an alert.'),
        ('silence_warn_minutes', '60', 1, 525600, false,
            'How long nothing may be applied, before health asks whether the service or the bot has stopped.'),
        ('dead_letters_warn', '1', 1, 1000000000, false,
            'How many dead letters of the last 24 hours are worth a warning.'),
        ('dead_letters_alert', '1000', 1, 1000000000, false, 'The same, for an alert.'),
        ('bloat_min_rows', '10000', 0, 1000000000000, false,
            'Tables with fewer dead rows are not looked at for bloat.'),
        ('bloat_warn_percent', '20', 1, 100, false, 'Dead rows of a table by all its rows, for a warning.'),
        ('bloat_alert_percent', '50', 1, 100, false, 'The same, for an alert.'),
        ('freeze_age_warn', '500000000', 1, 2000000000, false,
            'Age of the oldest transaction in a table that no vacuum has frozen, for a warning; Postgres stops at two billion.'),
        ('freeze_age_alert', '1000000000', 1, 2000000000, false, 'The same, for an alert.'),
        ('unused_index_megabytes', '100', 0, 1000000000, false,
            'An index as large as this that no query has used is worth a warning.'),
        ('seq_scan_min_rows', '100000', 0, 1000000000000, false,
            'Tables with fewer rows may be read whole by every query.'),
        ('cache_hit_warn_percent', '95', 0, 101, false, 'Below this share of blocks found in memory, health warns.'),
        ('cache_hit_alert_percent', '80', 0, 101, false, 'The same, for an alert.'),
        ('cache_hit_min_blocks', '100000', 0, 1000000000000, false,
            'A database that has read fewer blocks says nothing about its cache.'),
        ('transaction_warn_seconds', '300', 0, 31536000, false, 'How long a transaction may be open, before health warns.'),
        ('transaction_alert_seconds', '1800', 0, 31536000, false, 'The same, before it raises an alert.'),
        ('slot_alert_megabytes', '5120', 0, 1000000000, false,
            'How much log an inactive replication slot may hold back, before health raises an alert.'),
        ('growth_min_megabytes', '100', 0, 1000000000, false, 'Smaller tables may grow as they like.'),
        ('growth_warn_percent', '50', 1, 1000000, false, 'Growth of a table within a week, for a warning.'),
        ('growth_alert_percent', '200', 1, 1000000, false, 'The same, for an alert.'),
        ('failed_payments_min', '10', 1, 1000000, false,
            'With fewer attempts to pay today, nothing is said about their failures.'),
        ('failed_payments_warn_deviations', '3', 1, 1000, false,
            'How many standard deviations above the usual rate of the 28 days before today''s failures may lie.'),
        ('failed_payments_alert_deviations', '6', 1, 1000, false, 'The same, for an alert.'),
        ('inactive_payers_warn_percent', '10', 0, 100, false,
            'Share of the paying users active a week ago who have turned inactive since, for a warning.'),
        ('inactive_payers_alert_percent', '30', 0, 100, false, 'The same, for an alert.'),
        ('direct_edits_days', '7', 1, 36500, false, 'How many days back health counts direct edits.'),
        ('cleanup_overdue_days', '7', 1, 36500, false,
            'How much older than their setting says rows may be, before health says that cleanup is overdue.')
) AS s (setting, default_value, least, most, or_forever, meaning);
