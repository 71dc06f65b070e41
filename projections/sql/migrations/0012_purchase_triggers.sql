-- What leads to purchases.
-- Scope: generation
-- Beside it: any code that runs on 0011_hourly_metrics; it fills nothing here. Where events are applied already, a rebuild does.

CREATE TABLE user_offers (
    telegram_id bigint NOT NULL REFERENCES users,
    date        date   NOT NULL,
    moments     bytea  NOT NULL CHECK (length(moments) > 0 AND length(moments) % 8 = 0),
    PRIMARY KEY (telegram_id, date)
) WITH (fillfactor = 80);

COMMENT ON TABLE user_offers IS 'When content was offered to a user on a UTC day: no own action, but it may lead to a purchase.';
COMMENT ON COLUMN user_offers.moments IS
    'The offers in order of arrival, 8 bytes each: big-endian microseconds since 1970.';

CREATE TABLE purchase_triggers (
    event_type    text   PRIMARY KEY CHECK (
        event_type IN (
            'message.received', 'credits.spent', 'payment.succeeded', 'content.viewed', 'content.unlocked',
            'content.offered'
        )
    ),
    purchases     bigint NOT NULL CHECK (purchases >= 0),
    revenue_cents bigint NOT NULL CHECK (revenue_cents >= 0)
) WITH (fillfactor = 50);

COMMENT ON TABLE purchase_triggers IS
    'What users did, or were offered, in the 30 minutes before a purchase: each kind of event among it gets the whole purchase, once.';
COMMENT ON COLUMN purchase_triggers.event_type IS 'The type of the event: botpulse.<event_type>.v1.';
COMMENT ON COLUMN purchase_triggers.purchases IS
    'Charges, gross, with such an event of the same user up to 30 minutes before; at the same moment is not before.';
COMMENT ON COLUMN purchase_triggers.revenue_cents IS
    'The amounts of these charges. A charge counts for several types: the rows don''t add up to the revenue.';
