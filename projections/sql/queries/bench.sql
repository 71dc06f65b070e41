-- What the benchmarks compare the projections with, in a schema of its own that nothing else uses.

-- name: create_rows
-- The tables of the consumer that writes one row a statement, and the table that is copied into.
CREATE SCHEMA bench;
CREATE TABLE bench.users (
    telegram_id bigint PRIMARY KEY,
    messages    bigint NOT NULL,
    spent_cents bigint NOT NULL,
    last_active timestamptz
);
CREATE TABLE bench.days (
    date          date PRIMARY KEY,
    payments      bigint NOT NULL,
    revenue_cents bigint NOT NULL
);
CREATE TABLE bench.payments (
    charge_id    text PRIMARY KEY,
    telegram_id  bigint NOT NULL,
    amount_cents bigint NOT NULL,
    paid_at      timestamptz NOT NULL
);
CREATE TABLE bench.events (
    number       bigint NOT NULL,
    source       text NOT NULL,
    id           text NOT NULL,
    type         text NOT NULL,
    subject      text NOT NULL,
    happened_at  timestamptz NOT NULL,
    amount_cents bigint
);

-- name: upsert_user
-- One event of a user.
INSERT INTO bench.users AS u (telegram_id, messages, spent_cents, last_active)
VALUES ($1, $2, $3, $4)
ON CONFLICT (telegram_id) DO UPDATE SET
    messages = u.messages + excluded.messages,
    spent_cents = u.spent_cents + excluded.spent_cents,
    last_active = greatest(u.last_active, excluded.last_active);

-- name: upsert_day
-- One payment of a day.
INSERT INTO bench.days AS d (date, payments, revenue_cents)
VALUES ($1, 1, $2)
ON CONFLICT (date) DO UPDATE SET
    payments = d.payments + 1,
    revenue_cents = d.revenue_cents + excluded.revenue_cents;

-- name: upsert_payment
-- One payment, once.
INSERT INTO bench.payments (charge_id, telegram_id, amount_cents, paid_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (charge_id) DO NOTHING;

-- name: log_commit_times
-- From the next start of the server on it remembers when each transaction was committed.
ALTER SYSTEM SET track_commit_timestamp = on;

-- name: tier_commit_times
-- When the transactions were committed that wrote these users' tier, and the tier change that streams sent.
SELECT
    u.telegram_id,
    pg_xact_commit_timestamp(u.xmin) AS tier_at,
    pg_xact_commit_timestamp(h.xmin) AS change_at
FROM botpulse.users AS u
JOIN botpulse.tier_history AS h USING (telegram_id)
WHERE u.telegram_id = ANY ($1::bigint[]);

-- name: count_tier_changes
-- How many tier changes of these users have been written.
SELECT count(*) FROM botpulse.tier_history WHERE telegram_id = ANY ($1::bigint[]);

-- name: dashboard
-- What the reader of the rebuild's benchmark asks for.
SELECT * FROM botpulse.revenue_dashboard ORDER BY date DESC LIMIT 30;

-- name: spoil_busiest_user
-- Takes the messages from the user with the most days, and says who that is.
UPDATE users SET lifetime_messages = 0
WHERE telegram_id = (SELECT telegram_id FROM user_days GROUP BY telegram_id ORDER BY count(*) DESC, telegram_id LIMIT 1)
RETURNING telegram_id;
