-- Subscriptions.

-- name: write_subscriptions
-- What the batch says of subscriptions; a null time means that nothing was said of the field. On equal times the later in
-- the log wins, which is this batch.
INSERT INTO subscriptions AS s (
    telegram_id, subscription_id, status, status_at, started_at, renewals, plan, plan_at, amount_cents,
    amount_cents_at, charge_id, charge_id_at, expires_at, expires_at_at
)
SELECT *
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::text[],
    $8::timestamptz[], $9::bigint[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::timestamptz[],
    $14::timestamptz[]
)
ON CONFLICT (telegram_id, subscription_id) DO UPDATE SET
    status = CASE WHEN EXCLUDED.status_at >= s.status_at THEN EXCLUDED.status ELSE s.status END,
    status_at = greatest(s.status_at, EXCLUDED.status_at),
    started_at = least(s.started_at, EXCLUDED.started_at),
    renewals = s.renewals + EXCLUDED.renewals,
    plan = CASE WHEN EXCLUDED.plan_at >= coalesce(s.plan_at, '-infinity') THEN EXCLUDED.plan ELSE s.plan END,
    plan_at = greatest(s.plan_at, EXCLUDED.plan_at),
    amount_cents = CASE WHEN EXCLUDED.amount_cents_at >= coalesce(s.amount_cents_at, '-infinity')
        THEN EXCLUDED.amount_cents ELSE s.amount_cents END,
    amount_cents_at = greatest(s.amount_cents_at, EXCLUDED.amount_cents_at),
    charge_id = CASE WHEN EXCLUDED.charge_id_at >= coalesce(s.charge_id_at, '-infinity')
        THEN EXCLUDED.charge_id ELSE s.charge_id END,
    charge_id_at = greatest(s.charge_id_at, EXCLUDED.charge_id_at),
    expires_at = CASE WHEN EXCLUDED.expires_at_at >= coalesce(s.expires_at_at, '-infinity')
        THEN EXCLUDED.expires_at ELSE s.expires_at END,
    expires_at_at = greatest(s.expires_at_at, EXCLUDED.expires_at_at);
