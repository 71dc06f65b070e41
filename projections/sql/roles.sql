-- The roles, and what they need in this database. Run before the migrations, again and again: it adds what is missing.
--
-- Roles belong to the whole server, and no lock does: two databases that are migrated at the same moment may both find a
-- role missing, so a role that somebody else has just made is no error. All are groups without login; people and programs
-- get logins of their own that are members (GRANT botpulse_analyst TO alice). The installer may act as any of them and
-- inherits nothing by itself.
DO $roles$
DECLARE
    -- Since 16 a membership says whether SET ROLE is allowed; before, every membership does.
    grants_say_more constant boolean := current_setting('server_version_num')::integer >= 160000;
    may_act         constant text    := CASE WHEN grants_say_more THEN 'SET' ELSE 'MEMBER' END;
    as_installer    constant text    := CASE WHEN grants_say_more THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
    role_name       text;
    attempt         integer;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'botpulse_owner', 'botpulse_projector', 'botpulse_maintenance', 'botpulse_analyst', 'botpulse_auditor',
        'botpulse_admin', 'botpulse_bot', 'botpulse_installer'
    ]
    LOOP
        IF to_regrole(role_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL;
                WHEN insufficient_privilege THEN
                    RAISE insufficient_privilege USING MESSAGE = format(
                        'the role %s is missing and %s may not create roles; let a superuser or a role with CREATEROLE '
                        'install once', role_name, session_user
                    );
            END;
        END IF;
    END LOOP;

    FOREACH role_name IN ARRAY ARRAY[
        'botpulse_owner', 'botpulse_projector', 'botpulse_maintenance', 'botpulse_analyst', 'botpulse_auditor',
        'botpulse_admin', 'botpulse_bot'
    ]
    LOOP
        FOR attempt IN 1..20 LOOP
            EXIT WHEN pg_has_role('botpulse_installer', role_name, may_act);
            BEGIN
                EXECUTE format('GRANT %I TO botpulse_installer', role_name) || as_installer;
            EXCEPTION
                WHEN unique_violation OR internal_error THEN  -- "tuple concurrently updated"
                    PERFORM pg_sleep(0.05);
                WHEN insufficient_privilege THEN
                    RAISE insufficient_privilege USING MESSAGE = format(
                        'the role botpulse_installer lacks %s and %s may not grant it; let a superuser or the creator of '
                        'these roles install once', role_name, session_user
                    );
            END;
        END LOOP;
    END LOOP;

    FOR attempt IN 1..20 LOOP
        EXIT WHEN pg_has_role(session_user, 'botpulse_owner', may_act);
        BEGIN
            EXECUTE format('GRANT botpulse_installer TO %I', session_user);
        EXCEPTION
            WHEN unique_violation OR internal_error THEN
                PERFORM pg_sleep(0.05);
            WHEN insufficient_privilege THEN
                RAISE insufficient_privilege USING MESSAGE = format(
                    '%s may not act as botpulse_owner; let a superuser or the creator of these roles run: '
                    'GRANT botpulse_installer TO %I', session_user, session_user
                );
        END;
    END LOOP;

    -- So that check_database_health(), which acts as the owner, sees other people's transactions. Where it can't be granted,
    -- the check says so.
    FOR attempt IN 1..20 LOOP
        EXIT WHEN pg_has_role('botpulse_owner', 'pg_read_all_stats', 'USAGE');
        BEGIN
            IF grants_say_more THEN
                EXECUTE 'GRANT pg_read_all_stats TO botpulse_owner WITH INHERIT TRUE';
            ELSE
                GRANT pg_read_all_stats TO botpulse_owner;
                ALTER ROLE botpulse_owner INHERIT;
            END IF;
        EXCEPTION
            WHEN unique_violation OR internal_error THEN
                PERFORM pg_sleep(0.05);
            WHEN insufficient_privilege THEN
                EXIT;
        END;
    END LOOP;

    -- The owner builds the next generation of the tables in a schema of its own; a batch may need temporary tables.
    IF NOT has_database_privilege('botpulse_owner', current_database(), 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO botpulse_owner', current_database());
    END IF;
    FOREACH role_name IN ARRAY ARRAY['botpulse_owner', 'botpulse_projector'] LOOP
        IF NOT has_database_privilege(role_name, current_database(), 'TEMPORARY') THEN
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), role_name);
        END IF;
    END LOOP;
    IF NOT has_database_privilege('botpulse_owner', current_database(), 'CREATE') THEN
        RAISE insufficient_privilege USING MESSAGE = format(
            '%s may not create schemas in the database %s; let its owner run: GRANT CREATE ON DATABASE %I TO botpulse_owner',
            session_user, current_database(), current_database()
        );
    END IF;
END
$roles$;
