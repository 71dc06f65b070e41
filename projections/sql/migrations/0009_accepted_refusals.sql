-- Who decided to leave a refused event out, when, and why.
-- Scope: installation
-- Beside it: any code; nothing accepted refusals before.

ALTER TABLE botpulse.refused_events
    ADD COLUMN decided_by text CHECK (length(decided_by) BETWEEN 1 AND 200),
    ADD COLUMN decided_at timestamptz,
    ADD COLUMN note       text CHECK (length(note) BETWEEN 1 AND 2000),
    ADD CONSTRAINT refused_events_decision CHECK (
        CASE num_nonnulls(decided_by, decided_at, note)
            WHEN 0 THEN state <> 'accepted'
            WHEN 3 THEN state <> 'open'
            ELSE false
        END
    );

COMMENT ON COLUMN botpulse.refused_events.decided_by IS 'The person who accepted that the event stays out of the tables.';
COMMENT ON COLUMN botpulse.refused_events.decided_at IS 'When, by the database''s clock.';
COMMENT ON COLUMN botpulse.refused_events.note IS 'Why.';
COMMENT ON COLUMN botpulse.refused_events.state IS
    'open; accepted (a person decided to leave it out); redriven (a copy was applied, perhaps after all).';
