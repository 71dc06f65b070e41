-- The record of edits by hand: kept for ever, whatever becomes of the tables that are folded again.
-- Scope: installation
-- Beside it: any code that runs on 0003_tables.

CREATE TABLE botpulse.direct_edits (
    number       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    edited_at    timestamptz NOT NULL,
    login        text        NOT NULL,
    acting_as    text        NOT NULL,
    application  text        NOT NULL,
    table_name   text        NOT NULL,
    operation    text        NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')),
    before       jsonb,
    after        jsonb
);

CREATE INDEX direct_edits_edited_at ON botpulse.direct_edits (edited_at);

COMMENT ON TABLE botpulse.direct_edits IS
    'Rows of projected tables that a person changed by hand, one row each. A rebuild undoes such a change.';
COMMENT ON COLUMN botpulse.direct_edits.edited_at IS 'When, by the database''s clock.';
COMMENT ON COLUMN botpulse.direct_edits.login IS 'Who had logged in.';
COMMENT ON COLUMN botpulse.direct_edits.acting_as IS 'The role that the login had taken on, else the login itself.';
COMMENT ON COLUMN botpulse.direct_edits.application IS 'What the client called itself.';
COMMENT ON COLUMN botpulse.direct_edits.before IS 'The row before; null for an insert and for a truncation, which names no rows.';
COMMENT ON COLUMN botpulse.direct_edits.after IS 'The row after; null for a deletion.';

CREATE FUNCTION botpulse.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_user <> 'botpulse_owner' AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s is append-only: %s refused', TG_TABLE_NAME, TG_OP);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION botpulse.refuse_change() IS 'Keeps a table append-only for all but its owner and superusers.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON botpulse.direct_edits
    FOR EACH STATEMENT EXECUTE FUNCTION botpulse.refuse_change();

-- The trigger's condition knows whom it concerns: the function itself runs as the owner, and sees of the caller the login
-- and the role that was set.
CREATE FUNCTION botpulse.record_direct_edit() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, botpulse, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD IS NOT DISTINCT FROM NEW THEN
        RETURN NULL;
    END IF;
    INSERT INTO botpulse.direct_edits (edited_at, login, acting_as, application, table_name, operation, before, after)
    VALUES (
        clock_timestamp(), session_user, coalesce(nullif(current_setting('role'), 'none'), session_user),
        current_setting('application_name'), TG_TABLE_NAME, TG_OP, to_jsonb(OLD), to_jsonb(NEW)
    );
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION botpulse.record_direct_edit() IS 'Writes a changed row of a projected table to direct_edits.';
