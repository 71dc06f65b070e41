-- Content: the items, who unlocked them, and how they perform.
-- Scope: generation
-- Beside it: any code that runs on 0004_dashboards; it fills nothing here. Where events are applied already, a rebuild does.

CREATE TABLE content_items (
    content_id       text        PRIMARY KEY CHECK (length(content_id) BETWEEN 1 AND 512),
    content_type     text        CHECK (content_type IN ('photo', 'video', 'audio', 'text', 'bundle', 'other')),
    title            text        CHECK (length(title) <= 256),
    price_cents      bigint      CONSTRAINT content_items_price_limits CHECK (price_cents BETWEEN 0 AND 100000),
    price_credits    bigint      CONSTRAINT content_items_credits_limits CHECK (price_credits BETWEEN 0 AND 1000000),
    first_fact_at    timestamptz NOT NULL,
    offers           bigint      NOT NULL CHECK (offers >= 0),
    views            bigint      NOT NULL CHECK (views >= 0),
    unlocks          bigint      NOT NULL CHECK (unlocks >= 0),
    unique_buyers    bigint      NOT NULL CHECK (unique_buyers BETWEEN 0 AND unlocks),
    revenue_cents    bigint      NOT NULL CHECK (revenue_cents >= 0),
    described_at     timestamptz,
    title_at         timestamptz,
    price_credits_at timestamptz,
    CHECK (num_nonnulls(content_type, price_cents, described_at) IN (0, 3)),
    CHECK (title IS NULL OR title_at IS NOT NULL),
    CHECK (price_credits IS NULL OR price_credits_at IS NOT NULL)
) WITH (fillfactor = 50);

COMMENT ON TABLE content_items IS
    'One row a content item, with what its users did with it. Seen first through an offer, a view or an unlock, an item has no type and price until it is published.';
COMMENT ON COLUMN content_items.price_cents IS 'The current price in US cents; an unlock keeps the price that it was made at.';
COMMENT ON COLUMN content_items.first_fact_at IS 'The earliest event about the item: published, changed, offered, viewed or unlocked.';
COMMENT ON COLUMN content_items.unique_buyers IS 'Users who unlocked the item, each once (content_buyers).';
COMMENT ON COLUMN content_items.revenue_cents IS 'The value in money of all unlocks, however they were paid.';
COMMENT ON COLUMN content_items.described_at IS 'The time of the event that gave type and price: the latest counts.';
COMMENT ON COLUMN content_items.title_at IS 'The time of the event that gave or cleared the title; so does price_credits_at for price_credits.';

CREATE TABLE content_buyers (
    content_id  text   NOT NULL REFERENCES content_items,
    telegram_id bigint NOT NULL REFERENCES users,
    PRIMARY KEY (content_id, telegram_id)
);

CREATE INDEX content_buyers_user ON content_buyers (telegram_id);

COMMENT ON TABLE content_buyers IS 'Which users have unlocked which content items, each pair once.';

CREATE VIEW content_performance WITH (security_invoker = true) AS
SELECT
    content_id,
    content_type,
    title,
    round(price_cents / 100.0, 2) AS price,
    price_credits,
    offers,
    views,
    unlocks,
    unique_buyers,
    round(revenue_cents / 100.0, 2) AS total_revenue,
    round(100.0 * unlocks / nullif(views, 0), 2) AS purchase_rate_percent,
    round(unlocks / greatest(1, extract(epoch FROM now() - first_fact_at) / 86400), 4) AS purchases_per_day,
    first_fact_at
FROM content_items;

COMMENT ON VIEW content_performance IS 'How each content item sells, as of now; money in US dollars.';
COMMENT ON COLUMN content_performance.price IS 'The current price.';
COMMENT ON COLUMN content_performance.total_revenue IS 'The value of all unlocks at the price of each, however they were paid.';
COMMENT ON COLUMN content_performance.purchase_rate_percent IS 'Unlocks as a percentage of views; null without views. Above 100 where items are unlocked without a view.';
COMMENT ON COLUMN content_performance.purchases_per_day IS 'Unlocks by the days since the item''s first fact, at least one day.';
