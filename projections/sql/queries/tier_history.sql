-- Tier changes, as streams sent them.

-- name: write_tier_changes
-- One row a change; one that was sent twice has the same id. Returns when the new ones happened.
INSERT INTO tier_history (
    id, telegram_id, changed_at, previous, current, purchases, spent_cents, rules_version, caused_by,
    log_partition, log_offset
)
SELECT
    t.id, t.telegram_id, t.changed_at, t.previous, t.current, t.purchases, t.spent_cents, t.rules_version,
    jsonb_build_object('source', t.caused_by_source, 'id', t.caused_by_id), t.log_partition, t.log_offset
FROM unnest(
    $1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::integer[], $9::text[], $10::text[], $11::integer[], $12::bigint[]
) AS t (
    id, telegram_id, changed_at, previous, current, purchases, spent_cents, rules_version,
    caused_by_source, caused_by_id, log_partition, log_offset
)
ORDER BY t.id
ON CONFLICT (id) DO NOTHING
RETURNING changed_at;
