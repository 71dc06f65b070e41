-- The tables folded from the log, and the reference data of the dashboards.
-- Scope: generation
-- Beside it: any code; nothing existed before.

CREATE TABLE users (
    telegram_id                     bigint      PRIMARY KEY CHECK (telegram_id BETWEEN 1 AND 4503599627370496),
    username                        text        CHECK (length(username) <= 64),
    first_name                      text,
    last_name                       text,
    preferred_language              text,
    referral_code                   text,
    referred_by                     bigint      REFERENCES users CHECK (referred_by <> telegram_id),
    is_premium                      boolean,
    registered_at                   timestamptz,
    total_spent_cents               bigint      NOT NULL DEFAULT 0 CHECK (total_spent_cents >= 0),
    purchase_count                  bigint      NOT NULL DEFAULT 0 CHECK (purchase_count >= 0),
    lifetime_messages               bigint      NOT NULL DEFAULT 0 CHECK (lifetime_messages >= 0),
    message_credits                 bigint      NOT NULL DEFAULT 0,
    last_active                     timestamptz,
    last_active_day                 date        GENERATED ALWAYS AS ((last_active AT TIME ZONE 'UTC')::date) STORED,
    current_tier                    text        NOT NULL DEFAULT 'new'
                                    CHECK (current_tier IN ('new', 'regular', 'vip', 'premium')),
    tier_changed_at                 timestamptz,
    is_blocked                      boolean     NOT NULL DEFAULT false,
    auto_recharge_enabled           boolean     NOT NULL DEFAULT false,
    auto_recharge_amount_cents      bigint      CONSTRAINT users_auto_recharge_amount_limits
                                    CHECK (auto_recharge_amount_cents BETWEEN 100 AND 50000),
    auto_recharge_credits           bigint      CHECK (auto_recharge_credits >= 0),
    auto_recharge_threshold_credits bigint      CHECK (auto_recharge_threshold_credits >= 0)
) WITH (fillfactor = 80);

-- Activity is indexed by day, not by moment: most updates of a user then touch no index.
CREATE INDEX idx_users_activity ON users (last_active_day, telegram_id);
-- The very expression of user_dashboard.total_spent_dollars, so that the view's order and filters find it.
CREATE INDEX idx_users_spending ON users ((round(total_spent_cents / 100.0, 2)));
CREATE INDEX idx_users_referred_by ON users (referred_by) WHERE referred_by IS NOT NULL;

COMMENT ON TABLE users IS
    'One row a user: profile, lifetime totals, tier. A user first seen through another event than the registration has no profile yet.';
COMMENT ON COLUMN users.referred_by IS 'The referrer that the earliest registration naming one gave.';
COMMENT ON COLUMN users.referral_code IS 'The user''s own code for inviting others; not unique.';
COMMENT ON COLUMN users.registered_at IS 'The earliest registration; null for a user who is known from other events only.';
COMMENT ON COLUMN users.total_spent_cents IS 'What is left of all charges after refunds and lost disputes, in US cents.';
COMMENT ON COLUMN users.purchase_count IS 'Charges of which something is left.';
COMMENT ON COLUMN users.lifetime_messages IS 'Messages received from the user.';
COMMENT ON COLUMN users.message_credits IS 'Credits granted less credits spent; negative while a spend is known before its grant.';
COMMENT ON COLUMN users.last_active IS
    'The latest own action: a message, credits spent, a payment, content viewed or unlocked; null before the first.';
COMMENT ON COLUMN users.last_active_day IS 'The UTC day of last_active.';
COMMENT ON COLUMN users.current_tier IS 'The tier by purchase_count and total_spent_cents under the current rules, lower-case.';
COMMENT ON COLUMN users.tier_changed_at IS 'The broker''s time of the record that changed the tier last; null before the first change.';
COMMENT ON COLUMN users.auto_recharge_amount_cents IS 'What one automatic top-up costs, in US cents.';
COMMENT ON COLUMN users.auto_recharge_threshold_credits IS 'Below this balance a top-up is made.';

CREATE TABLE user_field_times (
    telegram_id                        bigint PRIMARY KEY REFERENCES users,
    username_at                        timestamptz,
    first_name_at                      timestamptz,
    last_name_at                       timestamptz,
    preferred_language_at              timestamptz,
    referral_code_at                   timestamptz,
    is_premium_at                      timestamptz,
    is_blocked_at                      timestamptz,
    auto_recharge_enabled_at           timestamptz,
    auto_recharge_amount_cents_at      timestamptz,
    auto_recharge_credits_at           timestamptz,
    auto_recharge_threshold_credits_at timestamptz,
    referred_at                        timestamptz,
    referred_source                    text,
    referred_event_id                  text
);

COMMENT ON TABLE user_field_times IS
    'When each field of a user was said: the latest wins. For the referrer the earliest event, which is named here.';

CREATE TABLE payment_analytics (
    telegram_id           bigint      NOT NULL REFERENCES users,
    provider              text        NOT NULL
                          CHECK (provider IN ('telegram_stars', 'telegram_payments', 'stripe', 'other')),
    payment_id            text        NOT NULL GENERATED ALWAYS AS (coalesce(charge_id, attempt_id)) STORED,
    charge_id             text,
    attempt_id            text,
    payment_status        text        NOT NULL CHECK (payment_status IN ('succeeded', 'failed')),
    settlement_status     text        CHECK (
        settlement_status IN ('settled', 'partially_refunded', 'disputed', 'refunded', 'dispute_lost')
    ),
    payment_method_type   text        NOT NULL
                          CHECK (payment_method_type IN ('stars', 'card', 'wallet', 'bank', 'crypto', 'other')),
    amount_cents          bigint      NOT NULL CHECK (amount_cents > 0),
    refunded_cents        bigint      NOT NULL CHECK (refunded_cents >= 0),
    remainder_cents       bigint      NOT NULL CHECK (remainder_cents BETWEEN 0 AND amount_cents),
    dispute_lost_cents    bigint      NOT NULL CHECK (dispute_lost_cents BETWEEN 0 AND amount_cents),
    dispute_lost_at       timestamptz,
    original_amount_minor numeric     CHECK (original_amount_minor >= 0),
    original_currency     text,
    purpose               text        CHECK (purpose IN ('credits', 'content', 'subscription', 'other')),
    failure_code          text,
    is_auto_recharge      boolean     NOT NULL,
    occurred_at           timestamptz NOT NULL,
    source                text        NOT NULL,
    event_id              text        NOT NULL,
    PRIMARY KEY (telegram_id, provider, payment_status, payment_id),
    CONSTRAINT payment_analytics_outcome CHECK (
        CASE payment_status
            WHEN 'succeeded' THEN charge_id IS NOT NULL AND attempt_id IS NULL AND failure_code IS NULL
                                  AND settlement_status IS NOT NULL
            ELSE attempt_id IS NOT NULL AND charge_id IS NULL AND failure_code IS NOT NULL
                 AND settlement_status IS NULL AND refunded_cents = 0 AND remainder_cents = 0
                 AND dispute_lost_cents = 0
        END
    ),
    CHECK (dispute_lost_cents = 0 OR dispute_lost_at IS NOT NULL),
    CHECK ((original_amount_minor IS NULL) = (original_currency IS NULL))
);

CREATE INDEX payment_analytics_occurred_at ON payment_analytics (occurred_at);

COMMENT ON TABLE payment_analytics IS 'One row an attempt to pay, succeeded or failed. Known by the provider''s id, once a user for ever.';
COMMENT ON COLUMN payment_analytics.payment_id IS 'charge_id of a success, attempt_id of a failure.';
COMMENT ON COLUMN payment_analytics.payment_status IS 'The outcome of the attempt; a later refund does not change it.';
COMMENT ON COLUMN payment_analytics.settlement_status IS 'What became of a charge: dispute_lost, refunded, disputed (open), partially_refunded or settled; null for a failure.';
COMMENT ON COLUMN payment_analytics.amount_cents IS 'The amount in US cents, gross.';
COMMENT ON COLUMN payment_analytics.refunded_cents IS 'The sum of the refunds as sent; may exceed the amount.';
COMMENT ON COLUMN payment_analytics.remainder_cents IS 'What is left after refunds and lost disputes: what counts for the user''s spend.';
COMMENT ON COLUMN payment_analytics.dispute_lost_cents IS 'What a lost dispute took: the amount less its refunds.';
COMMENT ON COLUMN payment_analytics.dispute_lost_at IS 'The earliest closing of a dispute as lost.';
COMMENT ON COLUMN payment_analytics.original_amount_minor IS 'What was really charged, in minor units of original_currency (Telegram Stars are XTR).';
COMMENT ON COLUMN payment_analytics.source IS 'With event_id: the event that supplied this row''s fields.';

CREATE TABLE payment_refunds (
    telegram_id           bigint  NOT NULL REFERENCES users,
    provider              text    NOT NULL,
    refund_id             text    NOT NULL,
    charge_id             text,
    amount_cents          bigint  CHECK (amount_cents > 0),
    original_amount_minor numeric CHECK (original_amount_minor >= 0),
    original_currency     text,
    reason                text,
    failed                boolean NOT NULL,
    occurred_at           timestamptz,
    source                text,
    event_id              text,
    PRIMARY KEY (telegram_id, provider, refund_id),
    CHECK (num_nonnulls(charge_id, amount_cents, occurred_at, source, event_id) IN (0, 5)),
    CHECK (failed OR occurred_at IS NOT NULL)
);

CREATE INDEX payment_refunds_charge ON payment_refunds (telegram_id, provider, charge_id);

COMMENT ON TABLE payment_refunds IS 'One row a refund. It may be known before its charge; of a failed one perhaps nothing else is known.';
COMMENT ON COLUMN payment_refunds.failed IS 'A failed refund counts nowhere.';

CREATE TABLE payment_disputes (
    telegram_id      bigint NOT NULL REFERENCES users,
    provider         text   NOT NULL,
    dispute_id       text   NOT NULL,
    charge_id        text,
    amount_cents     bigint CHECK (amount_cents > 0),
    reason           text,
    opened_at        timestamptz,
    source           text,
    event_id         text,
    closed_charge_id text,
    outcome          text   CHECK (outcome IN ('won', 'lost')),
    closed_at        timestamptz,
    closed_source    text,
    closed_event_id  text,
    PRIMARY KEY (telegram_id, provider, dispute_id),
    CHECK (num_nonnulls(charge_id, amount_cents, opened_at, source, event_id) IN (0, 5)),
    CHECK (num_nonnulls(closed_charge_id, outcome, closed_at, closed_source, closed_event_id) IN (0, 5)),
    CHECK (opened_at IS NOT NULL OR closed_at IS NOT NULL)
);

CREATE INDEX payment_disputes_charge ON payment_disputes (telegram_id, provider, charge_id);
CREATE INDEX payment_disputes_closed_charge ON payment_disputes (telegram_id, provider, closed_charge_id);

COMMENT ON TABLE payment_disputes IS 'One row a dispute: its opening and the latest of its closings; either may be known without the other.';
COMMENT ON COLUMN payment_disputes.charge_id IS 'The charge that the opening names.';
COMMENT ON COLUMN payment_disputes.closed_charge_id IS 'The charge that the closing names.';

CREATE TABLE auto_recharge_triggers (
    telegram_id  bigint      NOT NULL REFERENCES users,
    trigger_id   text        NOT NULL,
    amount_cents bigint      NOT NULL CONSTRAINT auto_recharge_triggers_amount_limits
                 CHECK (amount_cents BETWEEN 100 AND 50000),
    credits      bigint      CHECK (credits >= 0),
    triggered_at timestamptz NOT NULL,
    source       text        NOT NULL,
    event_id     text        NOT NULL,
    PRIMARY KEY (telegram_id, trigger_id)
);

COMMENT ON TABLE auto_recharge_triggers IS 'One row a top-up that the auto-recharge started.';

CREATE TABLE user_days (
    telegram_id       bigint NOT NULL REFERENCES users,
    date              date   NOT NULL,
    messages_received bigint NOT NULL CHECK (messages_received >= 0),
    messages_sent     bigint NOT NULL CHECK (messages_sent >= 0),
    own_actions       bigint NOT NULL CHECK (own_actions >= 0),
    purchases         bigint NOT NULL CHECK (purchases >= 0),
    spend_cents       bigint NOT NULL CHECK (spend_cents >= 0),
    credits_spent     bigint NOT NULL CHECK (credits_spent >= 0),
    unlocks           bigint NOT NULL CHECK (unlocks >= 0),
    actions           bytea  NOT NULL CHECK (length(actions) = 12 * own_actions),
    PRIMARY KEY (telegram_id, date)
) WITH (fillfactor = 80);

COMMENT ON TABLE user_days IS 'What a user did on a UTC day: the base of daily figures, rolling windows and sessions.';
COMMENT ON COLUMN user_days.purchases IS 'Charges of the day, gross: refunds take nothing here; so does spend_cents.';
COMMENT ON COLUMN user_days.actions IS
    'The own actions in order of arrival, 12 bytes each, big-endian: 8 bytes microseconds since 1970 times 8 plus the kind (1 message received, 2 credits spent, 3 payment succeeded, 4 content viewed, 5 content unlocked), 4 bytes credits or cents.';

CREATE TABLE user_sessions (
    telegram_id          bigint      NOT NULL REFERENCES users,
    session_start        timestamptz NOT NULL,
    session_end          timestamptz NOT NULL,
    time_spent_seconds   numeric     NOT NULL GENERATED ALWAYS AS (extract(epoch FROM session_end - session_start)) STORED,
    messages_in_session  bigint      NOT NULL CHECK (messages_in_session >= 0),
    credits_spent        bigint      NOT NULL CHECK (credits_spent >= 0),
    purchases_in_session bigint      NOT NULL CHECK (purchases_in_session >= 0),
    PRIMARY KEY (telegram_id, session_start),
    CHECK (session_end >= session_start)
) WITH (fillfactor = 80);

CREATE INDEX user_sessions_start ON user_sessions (session_start);

COMMENT ON TABLE user_sessions IS 'Own actions of a user with gaps of at most 30 minutes; a late event may join two sessions.';
COMMENT ON COLUMN user_sessions.time_spent_seconds IS 'From the first to the last action; 0 for a single one.';
COMMENT ON COLUMN user_sessions.purchases_in_session IS 'Charges in the session, gross.';

CREATE TABLE daily_metrics (
    date                   date   PRIMARY KEY,
    active_users           bigint NOT NULL CHECK (active_users >= 0),
    new_users              bigint NOT NULL CHECK (new_users >= 0),
    messages_received      bigint NOT NULL CHECK (messages_received >= 0),
    messages_sent          bigint NOT NULL CHECK (messages_sent >= 0),
    revenue_cents          bigint NOT NULL CHECK (revenue_cents >= 0),
    refunded_cents         bigint NOT NULL CHECK (refunded_cents >= 0),
    dispute_lost_cents     bigint NOT NULL CHECK (dispute_lost_cents >= 0),
    net_revenue_cents      bigint NOT NULL GENERATED ALWAYS AS (revenue_cents - refunded_cents - dispute_lost_cents) STORED,
    successful_payments    bigint NOT NULL CHECK (successful_payments >= 0),
    failed_payments        bigint NOT NULL CHECK (failed_payments >= 0),
    auto_recharge_triggers bigint NOT NULL CHECK (auto_recharge_triggers >= 0),
    content_unlocks        bigint NOT NULL CHECK (content_unlocks >= 0),
    credits_spent          bigint NOT NULL CHECK (credits_spent >= 0),
    new_disputes           bigint NOT NULL CHECK (new_disputes >= 0)
) WITH (fillfactor = 50);

COMMENT ON TABLE daily_metrics IS 'One row a UTC day on which something was counted, by the time of the events.';
COMMENT ON COLUMN daily_metrics.active_users IS 'Users with an own action that day.';
COMMENT ON COLUMN daily_metrics.new_users IS 'Users whose earliest registration was that day.';
COMMENT ON COLUMN daily_metrics.revenue_cents IS 'Gross: the amounts of the day''s charges.';
COMMENT ON COLUMN daily_metrics.refunded_cents IS 'Refunds of that day, as sent, of charges that are known.';
COMMENT ON COLUMN daily_metrics.dispute_lost_cents IS 'What disputes lost that day took from charges that are known.';
COMMENT ON COLUMN daily_metrics.net_revenue_cents IS 'revenue_cents less refunded_cents less dispute_lost_cents.';
COMMENT ON COLUMN daily_metrics.new_disputes IS 'Disputes opened that day, their charge known or not.';

CREATE TABLE tier_history (
    id            text        PRIMARY KEY,
    telegram_id   bigint      NOT NULL REFERENCES users,
    changed_at    timestamptz NOT NULL,
    previous      text        NOT NULL,
    current       text        NOT NULL,
    purchases     bigint      NOT NULL CHECK (purchases >= 0),
    spent_cents   bigint      NOT NULL CHECK (spent_cents >= 0),
    rules_version integer     NOT NULL CHECK (rules_version > 0),
    caused_by     jsonb       NOT NULL,
    log_partition integer     NOT NULL CHECK (log_partition >= 0),
    log_offset    bigint      NOT NULL CHECK (log_offset >= 0)
);

CREATE INDEX tier_history_user ON tier_history (telegram_id, log_offset);

COMMENT ON TABLE tier_history IS 'The tier changes that streams sent, as they are on the log; log_offset orders those of a user.';
COMMENT ON COLUMN tier_history.changed_at IS 'The broker''s time of the record that caused the change.';
COMMENT ON COLUMN tier_history.caused_by IS 'source and id of the event that caused the change.';

CREATE TABLE tier_benefits (
    tier    text   NOT NULL,
    benefit text   NOT NULL,
    value   bigint NOT NULL CHECK (value >= 0),
    PRIMARY KEY (tier, benefit)
);

COMMENT ON TABLE tier_benefits IS 'What each tier brings under the current rules; written by the migration from the rules data.';

CREATE TABLE activity_thresholds (
    status text     PRIMARY KEY CHECK (status IN ('active', 'inactive')),
    within interval NOT NULL CHECK (within > interval '0')
);

COMMENT ON TABLE activity_thresholds IS
    'How long after the last sign of life a user counts as active or inactive; longer is churned. Written by the migration from the schemas package.';
