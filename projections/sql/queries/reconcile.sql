-- What a provider's own list of charges is compared with.

-- name: charges
-- A provider's successful charges, in the currency that was charged; where the event did not say it, in dollars.
SELECT
    charge_id,
    coalesce(original_amount_minor, amount_cents) AS amount_minor,
    coalesce(original_currency, 'USD') AS currency,
    amount_cents,
    refunded_cents,
    settlement_status = 'refunded' AS is_refunded,
    occurred_at
FROM botpulse.payment_analytics
WHERE provider = $1 AND payment_status = 'succeeded';
