-- What leads to purchases.

-- name: load_moments
-- The packed own actions and offers of these users ($1) on these days ($2).
SELECT k.telegram_id, d.actions, o.moments
FROM unnest($1::bigint[], $2::date[]) AS k (telegram_id, date)
LEFT JOIN user_days AS d USING (telegram_id, date)
LEFT JOIN user_offers AS o USING (telegram_id, date);

-- name: add_offers
-- New offers to users ($1) on days ($2).
INSERT INTO user_offers AS o (telegram_id, date, moments)
SELECT * FROM unnest($1::bigint[], $2::date[], $3::bytea[])
ON CONFLICT (telegram_id, date) DO UPDATE SET moments = o.moments || EXCLUDED.moments;

-- name: add_triggers
-- What event types gain. Every type that the batch touches is here, in order, so that writers of different partitions wait
-- for each other and never deadlock.
INSERT INTO purchase_triggers AS t (event_type, purchases, revenue_cents)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
ON CONFLICT (event_type) DO UPDATE SET
    purchases = t.purchases + EXCLUDED.purchases,
    revenue_cents = t.revenue_cents + EXCLUDED.revenue_cents;

-- name: subtract_triggers
-- What event types lose: charges that turned out to have happened earlier.
UPDATE purchase_triggers AS t SET
    purchases = t.purchases - l.purchases,
    revenue_cents = t.revenue_cents - l.revenue_cents
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS l (event_type, purchases, revenue_cents)
WHERE t.event_type = l.event_type;

-- name: drop_empty_triggers
-- Event types that led to nothing after all: the same table in whatever order the facts arrived.
DELETE FROM purchase_triggers WHERE event_type = ANY ($1::text[]) AND (purchases, revenue_cents) = (0, 0);
