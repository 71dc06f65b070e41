-- What comparing the whole log with the tables came to, each time.
-- Scope: installation
-- Beside it: any code; nothing was recorded before.

CREATE TABLE botpulse.verifications (
    finished_at timestamptz PRIMARY KEY,
    seconds     numeric     NOT NULL CHECK (seconds >= 0),
    records     bigint      NOT NULL CHECK (records >= 0),
    differences bigint      NOT NULL CHECK (differences >= 0)
);

COMMENT ON TABLE botpulse.verifications IS 'Each complete comparison of the log with the tables, as `botpulse verify` recorded it.';
COMMENT ON COLUMN botpulse.verifications.finished_at IS 'When it came to its end, by the database''s clock.';
COMMENT ON COLUMN botpulse.verifications.seconds IS 'How long it took.';
COMMENT ON COLUMN botpulse.verifications.records IS 'Records of the log that were folded.';
COMMENT ON COLUMN botpulse.verifications.differences IS 'Differences that were found; 0 when the tables are what the log says.';
