-- The sessions of users.

-- name: load_sessions
-- The sessions of each user ($1) that lie in or reach into the time from $2 to $3.
SELECT
    k.telegram_id, s.session_start, s.session_end, s.messages_in_session, s.credits_spent,
    s.purchases_in_session
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS k (telegram_id, since, until)
CROSS JOIN LATERAL (
    SELECT before.*
    FROM (
        SELECT * FROM user_sessions AS u
        WHERE u.telegram_id = k.telegram_id AND u.session_start < k.since
        ORDER BY u.session_start DESC
        LIMIT 1
    ) AS before
    WHERE before.session_end >= k.since
    UNION ALL
    SELECT * FROM user_sessions AS u
    WHERE u.telegram_id = k.telegram_id AND u.session_start BETWEEN k.since AND k.until
) AS s;

-- name: delete_sessions
-- Sessions that became part of another one, or begin at another moment now.
DELETE FROM user_sessions AS s
USING unnest($1::bigint[], $2::timestamptz[]) AS k (telegram_id, session_start)
WHERE s.telegram_id = k.telegram_id AND s.session_start = k.session_start;

-- name: write_sessions
-- The sessions as they are now.
INSERT INTO user_sessions (
    telegram_id, session_start, session_end, messages_in_session, credits_spent, purchases_in_session
)
SELECT *
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[])
ON CONFLICT (telegram_id, session_start) DO UPDATE SET
    session_end = EXCLUDED.session_end,
    messages_in_session = EXCLUDED.messages_in_session,
    credits_spent = EXCLUDED.credits_spent,
    purchases_in_session = EXCLUDED.purchases_in_session;
