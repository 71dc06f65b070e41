-- The users, and when each field of a profile was said.

-- name: create_users
-- Rows for users seen for the first time; in the order of their ids, so that two writers never deadlock over each
-- other's stubs.
INSERT INTO users (telegram_id)
SELECT k.telegram_id
FROM unnest($1::bigint[]) AS k (telegram_id)
WHERE NOT EXISTS (SELECT FROM users AS u WHERE u.telegram_id = k.telegram_id)
ORDER BY k.telegram_id
ON CONFLICT (telegram_id) DO NOTHING;

-- name: load_money
-- Purchases, spend and tier of these users.
SELECT u.telegram_id, u.purchase_count, u.total_spent_cents, u.current_tier
FROM unnest($1::bigint[]) AS k (telegram_id)
JOIN users AS u USING (telegram_id);

-- name: update_users
-- In one update, since every new version of a row costs: differences to the totals of these users ($1 to $8; a null tier or
-- time of its change means: as it was), and the profiles of these as they are now ($9 to $22).
UPDATE users AS u SET
    lifetime_messages = u.lifetime_messages + coalesce(d.messages, 0),
    message_credits = u.message_credits + coalesce(d.credits, 0),
    last_active = greatest(u.last_active, d.last_active),
    purchase_count = u.purchase_count + coalesce(d.purchases, 0),
    total_spent_cents = u.total_spent_cents + coalesce(d.cents, 0),
    current_tier = coalesce(d.tier, u.current_tier),
    tier_changed_at = coalesce(d.tier_changed_at, u.tier_changed_at),
    username = CASE WHEN p.telegram_id IS NULL THEN u.username ELSE p.username END,
    first_name = CASE WHEN p.telegram_id IS NULL THEN u.first_name ELSE p.first_name END,
    last_name = CASE WHEN p.telegram_id IS NULL THEN u.last_name ELSE p.last_name END,
    preferred_language = CASE WHEN p.telegram_id IS NULL THEN u.preferred_language ELSE p.preferred_language END,
    referral_code = CASE WHEN p.telegram_id IS NULL THEN u.referral_code ELSE p.referral_code END,
    is_premium = CASE WHEN p.telegram_id IS NULL THEN u.is_premium ELSE p.is_premium END,
    is_blocked = CASE WHEN p.telegram_id IS NULL THEN u.is_blocked ELSE p.is_blocked END,
    auto_recharge_enabled =
        CASE WHEN p.telegram_id IS NULL THEN u.auto_recharge_enabled ELSE p.auto_recharge_enabled END,
    auto_recharge_amount_cents =
        CASE WHEN p.telegram_id IS NULL THEN u.auto_recharge_amount_cents ELSE p.auto_recharge_amount_cents END,
    auto_recharge_credits =
        CASE WHEN p.telegram_id IS NULL THEN u.auto_recharge_credits ELSE p.auto_recharge_credits END,
    auto_recharge_threshold_credits =
        CASE WHEN p.telegram_id IS NULL THEN u.auto_recharge_threshold_credits
             ELSE p.auto_recharge_threshold_credits END,
    registered_at = CASE WHEN p.telegram_id IS NULL THEN u.registered_at ELSE p.registered_at END,
    referred_by = CASE WHEN p.telegram_id IS NULL THEN u.referred_by ELSE p.referred_by END
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::text[],
    $8::timestamptz[]
) AS d (telegram_id, messages, credits, last_active, purchases, cents, tier, tier_changed_at)
FULL JOIN unnest(
    $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::boolean[], $16::boolean[],
    $17::boolean[], $18::bigint[], $19::bigint[], $20::bigint[], $21::timestamptz[], $22::bigint[]
) AS p (
    telegram_id, username, first_name, last_name, preferred_language, referral_code, is_premium, is_blocked,
    auto_recharge_enabled, auto_recharge_amount_cents, auto_recharge_credits,
    auto_recharge_threshold_credits, registered_at, referred_by
) ON p.telegram_id = d.telegram_id
WHERE u.telegram_id = coalesce(d.telegram_id, p.telegram_id);

-- name: set_last_active
-- The latest own action of users one of whose actions was taken back.
UPDATE users AS u SET last_active = d.last_active
FROM unnest($1::bigint[], $2::timestamptz[]) AS d (telegram_id, last_active)
WHERE u.telegram_id = d.telegram_id;

-- name: load_profiles
-- What these users said of themselves, and when.
SELECT
    u.telegram_id, u.username, u.first_name, u.last_name, u.preferred_language, u.referral_code, u.is_premium,
    u.is_blocked, u.auto_recharge_enabled, u.auto_recharge_amount_cents, u.auto_recharge_credits,
    u.auto_recharge_threshold_credits, u.registered_at, u.referred_by,
    t.username_at, t.first_name_at, t.last_name_at, t.preferred_language_at, t.referral_code_at,
    t.is_premium_at, t.is_blocked_at, t.auto_recharge_enabled_at, t.auto_recharge_amount_cents_at,
    t.auto_recharge_credits_at, t.auto_recharge_threshold_credits_at, t.referred_at, t.referred_source,
    t.referred_event_id
FROM unnest($1::bigint[]) AS k (telegram_id)
JOIN users AS u USING (telegram_id)
LEFT JOIN user_field_times AS t USING (telegram_id);

-- name: write_field_times
-- When each field of these profiles was said.
INSERT INTO user_field_times (
    telegram_id, username_at, first_name_at, last_name_at, preferred_language_at, referral_code_at,
    is_premium_at, is_blocked_at, auto_recharge_enabled_at, auto_recharge_amount_cents_at,
    auto_recharge_credits_at, auto_recharge_threshold_credits_at, referred_at, referred_source,
    referred_event_id
)
SELECT *
FROM unnest(
    $1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
    $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[],
    $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::text[]
)
ON CONFLICT (telegram_id) DO UPDATE SET
    username_at = EXCLUDED.username_at,
    first_name_at = EXCLUDED.first_name_at,
    last_name_at = EXCLUDED.last_name_at,
    preferred_language_at = EXCLUDED.preferred_language_at,
    referral_code_at = EXCLUDED.referral_code_at,
    is_premium_at = EXCLUDED.is_premium_at,
    is_blocked_at = EXCLUDED.is_blocked_at,
    auto_recharge_enabled_at = EXCLUDED.auto_recharge_enabled_at,
    auto_recharge_amount_cents_at = EXCLUDED.auto_recharge_amount_cents_at,
    auto_recharge_credits_at = EXCLUDED.auto_recharge_credits_at,
    auto_recharge_threshold_credits_at = EXCLUDED.auto_recharge_threshold_credits_at,
    referred_at = EXCLUDED.referred_at,
    referred_source = EXCLUDED.referred_source,
    referred_event_id = EXCLUDED.referred_event_id;
