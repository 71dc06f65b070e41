-- Reference data: written from the schemas package, where it has its only place.

-- name: write_tier_benefits
-- What each tier brings ($1 to $3: tier, benefit, value).
INSERT INTO tier_benefits AS b (tier, benefit, value)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (tier, benefit) DO UPDATE SET value = EXCLUDED.value WHERE b.value <> EXCLUDED.value;

-- name: drop_tier_benefits
-- Benefits that the rules no longer have ($1, $2: the tiers and benefits that they have).
DELETE FROM tier_benefits AS b
WHERE NOT EXISTS (
    SELECT FROM unnest($1::text[], $2::text[]) AS k (tier, benefit)
    WHERE k.tier = b.tier AND k.benefit = b.benefit
);

-- name: drop_tier_rules
-- Rules that are not the current ones any more ($1 to $5: tier, rank, purchases, cents, version of the current rules).
DELETE FROM tier_rules AS r
WHERE NOT EXISTS (
    SELECT FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::integer[])
        AS k (tier, rank, min_purchases, min_spent_cents, rules_version)
    WHERE (k.tier, k.rank, k.min_purchases, k.min_spent_cents, k.rules_version)
        = (r.tier, r.rank, r.min_purchases, r.min_spent_cents, r.rules_version)
);

-- name: write_tier_rules
-- The current rules ($1 to $5, as above), after the others are dropped.
INSERT INTO tier_rules (tier, rank, min_purchases, min_spent_cents, rules_version)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::integer[])
ON CONFLICT (tier) DO NOTHING;

-- name: write_activity_thresholds
-- Up to how long after the last sign of life a user has an activity status ($1, $2: status, interval).
INSERT INTO activity_thresholds AS a (status, within)
SELECT * FROM unnest($1::text[], $2::interval[])
ON CONFLICT (status) DO UPDATE SET within = EXCLUDED.within WHERE a.within <> EXCLUDED.within;
