-- Content items and their buyers.

-- name: add_items
-- What items gain ($1 to $6), what was said last about them ($7 to $13: null times mean nothing was said), and who
-- unlocked which item ($14, $15). On equal times the later in the log wins, which is this batch. In the order of the ids,
-- so that writers of different partitions wait for each other and never deadlock.
WITH unlocked AS (
    INSERT INTO content_buyers (content_id, telegram_id)
    SELECT * FROM unnest($14::text[], $15::bigint[])
    ON CONFLICT DO NOTHING
    RETURNING content_id
),
new_buyers AS (
    SELECT content_id, count(*) AS buyers FROM unlocked GROUP BY content_id
)
INSERT INTO content_items AS c (
    content_id, first_fact_at, offers, views, unlocks, revenue_cents, content_type, price_cents, described_at, title,
    title_at, price_credits, price_credits_at, unique_buyers
)
SELECT
    g.content_id, g.first_fact_at, g.offers, g.views, g.unlocks, g.revenue_cents, g.content_type, g.price_cents,
    g.described_at, g.title, g.title_at, g.price_credits, g.price_credits_at, coalesce(n.buyers, 0)
FROM unnest(
    $1::text[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[],
    $9::timestamptz[], $10::text[], $11::timestamptz[], $12::bigint[], $13::timestamptz[]
) AS g (
    content_id, first_fact_at, offers, views, unlocks, revenue_cents, content_type, price_cents, described_at, title,
    title_at, price_credits, price_credits_at
)
LEFT JOIN new_buyers AS n USING (content_id)
ORDER BY g.content_id COLLATE "C"
ON CONFLICT (content_id) DO UPDATE SET
    first_fact_at = least(c.first_fact_at, EXCLUDED.first_fact_at),
    offers = c.offers + EXCLUDED.offers,
    views = c.views + EXCLUDED.views,
    unlocks = c.unlocks + EXCLUDED.unlocks,
    unique_buyers = c.unique_buyers + EXCLUDED.unique_buyers,
    revenue_cents = c.revenue_cents + EXCLUDED.revenue_cents,
    content_type = CASE WHEN EXCLUDED.described_at >= coalesce(c.described_at, '-infinity')
        THEN EXCLUDED.content_type ELSE c.content_type END,
    price_cents = CASE WHEN EXCLUDED.described_at >= coalesce(c.described_at, '-infinity')
        THEN EXCLUDED.price_cents ELSE c.price_cents END,
    described_at = greatest(c.described_at, EXCLUDED.described_at),
    title = CASE WHEN EXCLUDED.title_at >= coalesce(c.title_at, '-infinity') THEN EXCLUDED.title ELSE c.title END,
    title_at = greatest(c.title_at, EXCLUDED.title_at),
    price_credits = CASE WHEN EXCLUDED.price_credits_at >= coalesce(c.price_credits_at, '-infinity')
        THEN EXCLUDED.price_credits ELSE c.price_credits END,
    price_credits_at = greatest(c.price_credits_at, EXCLUDED.price_credits_at);
