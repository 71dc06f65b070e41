-- What a user did on a day.

-- name: load_actions
-- The packed own actions of these users ($1) on these days ($2).
SELECT d.telegram_id, d.date, d.actions
FROM unnest($1::bigint[], $2::date[]) AS k (telegram_id, date)
JOIN user_days AS d USING (telegram_id, date);

-- name: all_actions
-- The packed own actions of one user ($1) on every day.
SELECT date, actions FROM user_days WHERE telegram_id = $1 AND own_actions > 0;

-- name: take_actions_back
-- Own actions taken back: the day's remaining actions and what its counters lose. Returns the days left without any.
UPDATE user_days AS d SET
    own_actions = d.own_actions - t.own_actions,
    purchases = d.purchases - t.purchases,
    spend_cents = d.spend_cents - t.spend_cents,
    actions = t.actions
FROM unnest($1::bigint[], $2::date[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])
    AS t (telegram_id, date, own_actions, purchases, spend_cents, actions)
WHERE d.telegram_id = t.telegram_id AND d.date = t.date
RETURNING d.date, d.own_actions;

-- name: drop_empty_days
-- Rows that count nothing any more: the same tables as if the action had never been on that day.
DELETE FROM user_days AS d
USING unnest($1::bigint[], $2::date[]) AS k (telegram_id, date)
WHERE d.telegram_id = k.telegram_id AND d.date = k.date AND d.own_actions = 0 AND d.messages_sent = 0;

-- name: add_user_days
-- Differences to the counters of users' days, and their new own actions. Returns for each day how many users acted on it
-- for the first time.
WITH added AS (
    SELECT *
    FROM unnest(
        $1::bigint[], $2::date[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bytea[]
    ) AS a (
        telegram_id, date, messages_received, messages_sent, own_actions, purchases, spend_cents,
        credits_spent, unlocks, actions
    )
),
written AS (
    INSERT INTO user_days AS d (
        telegram_id, date, messages_received, messages_sent, own_actions, purchases, spend_cents,
        credits_spent, unlocks, actions
    )
    SELECT * FROM added
    ON CONFLICT (telegram_id, date) DO UPDATE SET
        messages_received = d.messages_received + EXCLUDED.messages_received,
        messages_sent = d.messages_sent + EXCLUDED.messages_sent,
        own_actions = d.own_actions + EXCLUDED.own_actions,
        purchases = d.purchases + EXCLUDED.purchases,
        spend_cents = d.spend_cents + EXCLUDED.spend_cents,
        credits_spent = d.credits_spent + EXCLUDED.credits_spent,
        unlocks = d.unlocks + EXCLUDED.unlocks,
        actions = d.actions || EXCLUDED.actions
    RETURNING d.telegram_id, d.date, d.own_actions
)
SELECT w.date, count(*) AS users
FROM written AS w
JOIN added AS a USING (telegram_id, date)
WHERE a.own_actions > 0 AND w.own_actions = a.own_actions
GROUP BY w.date;
