-- Subscriptions.
-- Scope: generation
-- Beside it: any code that runs on 0017_health; it fills nothing here. Where events are applied already, a rebuild does.

CREATE TABLE subscriptions (
    telegram_id     bigint      NOT NULL REFERENCES users,
    subscription_id text        NOT NULL CHECK (length(subscription_id) BETWEEN 1 AND 512),
    status          text        NOT NULL CHECK (status IN ('active', 'cancelled', 'payment_failed')),
    plan            text,
    amount_cents    bigint      CONSTRAINT subscriptions_amount_limits CHECK (amount_cents BETWEEN 0 AND 1000000),
    charge_id       text,
    expires_at      timestamptz,
    started_at      timestamptz,
    renewals        bigint      NOT NULL CHECK (renewals >= 0),
    status_at       timestamptz NOT NULL,
    plan_at         timestamptz,
    amount_cents_at timestamptz,
    charge_id_at    timestamptz,
    expires_at_at   timestamptz,
    PRIMARY KEY (telegram_id, subscription_id),
    CHECK (plan IS NULL OR plan_at IS NOT NULL),
    CHECK (amount_cents IS NULL OR amount_cents_at IS NOT NULL),
    CHECK (charge_id IS NULL OR charge_id_at IS NOT NULL),
    CHECK (expires_at IS NULL OR expires_at_at IS NOT NULL)
);

CREATE INDEX subscriptions_active ON subscriptions (expires_at) WHERE status = 'active';

COMMENT ON TABLE subscriptions IS 'One row a subscription of a user, as its latest events say. What it brought is counted from payments.';
COMMENT ON COLUMN subscriptions.status IS 'By the latest event: active (started or renewed), cancelled or payment_failed.';
COMMENT ON COLUMN subscriptions.charge_id IS 'A reference to the charge that paid for it last, if the bot gave one.';
COMMENT ON COLUMN subscriptions.started_at IS 'The earliest start; null while only later events are known.';
COMMENT ON COLUMN subscriptions.status_at IS 'The time of the event that gave the status; plan_at and so on are those of their fields.';
