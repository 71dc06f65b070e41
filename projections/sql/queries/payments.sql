-- Charges, failed attempts, refunds, disputes and auto-recharge triggers: the ledger's facts.

-- name: charges_of_facts
-- The charges that stored refunds ($1 to $3: telegram_id, provider, refund_id) and disputes ($4 to $6) belong to.
SELECT r.telegram_id, r.provider, r.charge_id
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k (telegram_id, provider, refund_id)
JOIN payment_refunds AS r USING (telegram_id, provider, refund_id)
WHERE r.charge_id IS NOT NULL
UNION
SELECT d.telegram_id, d.provider, named.charge_id
FROM unnest($4::bigint[], $5::text[], $6::text[]) AS k (telegram_id, provider, dispute_id)
JOIN payment_disputes AS d USING (telegram_id, provider, dispute_id)
CROSS JOIN LATERAL (VALUES (d.charge_id), (d.closed_charge_id)) AS named (charge_id)
WHERE named.charge_id IS NOT NULL;

-- name: load_payments
-- The attempts to pay with these identities and outcomes ($1 to $4).
SELECT
    p.telegram_id, p.provider, p.payment_id, p.payment_status, p.occurred_at, p.source, p.event_id,
    p.payment_method_type, p.amount_cents, p.original_amount_minor, p.original_currency, p.purpose,
    p.is_auto_recharge, p.failure_code
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
    AS k (telegram_id, provider, payment_id, payment_status)
JOIN payment_analytics AS p USING (telegram_id, provider, payment_id, payment_status);

-- name: load_refunds
-- The refunds of these charges ($1 to $3), and those with these refund ids ($4 to $6), known or only known to have failed.
SELECT
    telegram_id, provider, refund_id, occurred_at, source, event_id, charge_id, amount_cents,
    original_amount_minor, original_currency, reason, failed
FROM payment_refunds
JOIN unnest($1::bigint[], $2::text[], $3::text[]) AS c (telegram_id, provider, charge_id)
    USING (telegram_id, provider, charge_id)
UNION
SELECT
    telegram_id, provider, refund_id, occurred_at, source, event_id, charge_id, amount_cents,
    original_amount_minor, original_currency, reason, failed
FROM payment_refunds
JOIN unnest($4::bigint[], $5::text[], $6::text[]) AS r (telegram_id, provider, refund_id)
    USING (telegram_id, provider, refund_id);

-- name: load_disputes
-- The disputes that were opened or closed about these charges ($1 to $3), and those with these dispute ids ($4 to $6).
SELECT
    d.telegram_id, d.provider, d.dispute_id, d.opened_at, d.source, d.event_id, d.charge_id, d.amount_cents,
    d.reason, d.closed_at, d.closed_source, d.closed_event_id, d.closed_charge_id, d.outcome
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS c (telegram_id, provider, charge_id)
JOIN payment_disputes AS d USING (telegram_id, provider, charge_id)
UNION
SELECT
    d.telegram_id, d.provider, d.dispute_id, d.opened_at, d.source, d.event_id, d.charge_id, d.amount_cents,
    d.reason, d.closed_at, d.closed_source, d.closed_event_id, d.closed_charge_id, d.outcome
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS c (telegram_id, provider, closed_charge_id)
JOIN payment_disputes AS d USING (telegram_id, provider, closed_charge_id)
UNION
SELECT
    d.telegram_id, d.provider, d.dispute_id, d.opened_at, d.source, d.event_id, d.charge_id, d.amount_cents,
    d.reason, d.closed_at, d.closed_source, d.closed_event_id, d.closed_charge_id, d.outcome
FROM unnest($4::bigint[], $5::text[], $6::text[]) AS k (telegram_id, provider, dispute_id)
JOIN payment_disputes AS d USING (telegram_id, provider, dispute_id);

-- name: load_triggers
-- The auto-recharge triggers with these ids ($1, $2).
SELECT t.telegram_id, t.trigger_id, t.triggered_at, t.source, t.event_id, t.amount_cents, t.credits
FROM unnest($1::bigint[], $2::text[]) AS k (telegram_id, trigger_id)
JOIN auto_recharge_triggers AS t USING (telegram_id, trigger_id);

-- name: write_payments
-- One row an attempt to pay, as it stands now.
INSERT INTO payment_analytics (
    telegram_id, provider, charge_id, attempt_id, payment_status, settlement_status, payment_method_type,
    amount_cents, refunded_cents, remainder_cents, dispute_lost_cents, dispute_lost_at, original_amount_minor,
    original_currency, purpose, failure_code, is_auto_recharge, occurred_at, source, event_id
)
SELECT *
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::numeric[],
    $14::text[], $15::text[], $16::text[], $17::boolean[], $18::timestamptz[], $19::text[], $20::text[]
)
ON CONFLICT (telegram_id, provider, payment_status, payment_id) DO UPDATE SET
    settlement_status = EXCLUDED.settlement_status,
    payment_method_type = EXCLUDED.payment_method_type,
    refunded_cents = EXCLUDED.refunded_cents,
    remainder_cents = EXCLUDED.remainder_cents,
    dispute_lost_cents = EXCLUDED.dispute_lost_cents,
    dispute_lost_at = EXCLUDED.dispute_lost_at,
    original_amount_minor = EXCLUDED.original_amount_minor,
    original_currency = EXCLUDED.original_currency,
    purpose = EXCLUDED.purpose,
    failure_code = EXCLUDED.failure_code,
    is_auto_recharge = EXCLUDED.is_auto_recharge,
    occurred_at = EXCLUDED.occurred_at,
    source = EXCLUDED.source,
    event_id = EXCLUDED.event_id;

-- name: write_refunds
-- One row a refund, as it is known now.
INSERT INTO payment_refunds (
    telegram_id, provider, refund_id, charge_id, amount_cents, original_amount_minor, original_currency,
    reason, failed, occurred_at, source, event_id
)
SELECT *
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::numeric[], $7::text[],
    $8::text[], $9::boolean[], $10::timestamptz[], $11::text[], $12::text[]
)
ON CONFLICT (telegram_id, provider, refund_id) DO UPDATE SET
    charge_id = EXCLUDED.charge_id,
    amount_cents = EXCLUDED.amount_cents,
    original_amount_minor = EXCLUDED.original_amount_minor,
    original_currency = EXCLUDED.original_currency,
    reason = EXCLUDED.reason,
    failed = EXCLUDED.failed,
    occurred_at = EXCLUDED.occurred_at,
    source = EXCLUDED.source,
    event_id = EXCLUDED.event_id;

-- name: write_disputes
-- One row a dispute, as it is known now.
INSERT INTO payment_disputes (
    telegram_id, provider, dispute_id, charge_id, amount_cents, reason, opened_at, source, event_id,
    closed_charge_id, outcome, closed_at, closed_source, closed_event_id
)
SELECT *
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::text[], $14::text[]
)
ON CONFLICT (telegram_id, provider, dispute_id) DO UPDATE SET
    charge_id = EXCLUDED.charge_id,
    amount_cents = EXCLUDED.amount_cents,
    reason = EXCLUDED.reason,
    opened_at = EXCLUDED.opened_at,
    source = EXCLUDED.source,
    event_id = EXCLUDED.event_id,
    closed_charge_id = EXCLUDED.closed_charge_id,
    outcome = EXCLUDED.outcome,
    closed_at = EXCLUDED.closed_at,
    closed_source = EXCLUDED.closed_source,
    closed_event_id = EXCLUDED.closed_event_id;

-- name: write_triggers
-- One row a top-up that the auto-recharge started.
INSERT INTO auto_recharge_triggers (
    telegram_id, trigger_id, amount_cents, credits, triggered_at, source, event_id
)
SELECT *
FROM unnest(
    $1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::text[], $7::text[]
)
ON CONFLICT (telegram_id, trigger_id) DO UPDATE SET
    credits = EXCLUDED.credits,
    triggered_at = EXCLUDED.triggered_at,
    source = EXCLUDED.source,
    event_id = EXCLUDED.event_id;
