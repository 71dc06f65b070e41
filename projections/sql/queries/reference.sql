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

-- name: write_activity_thresholds
-- Up to how long after the last sign of life a user has an activity status ($1, $2: status, interval).
INSERT INTO activity_thresholds AS a (status, within)
SELECT * FROM unnest($1::text[], $2::interval[])
ON CONFLICT (status) DO UPDATE SET within = EXCLUDED.within WHERE a.within <> EXCLUDED.within;
