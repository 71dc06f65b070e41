-- The live audit trail beside one that was folded anew: see projections/generations/moved.py.

-- name: chains_that_differ
-- Every chain on which the two are not one, with the first entry that differs; null where only the chain's end does.
SELECT topic, log_partition, min(seq) AS first
FROM (
    SELECT topic, log_partition, seq
    FROM {live}.audit_log AS o
    FULL JOIN {other}.audit_log AS n USING (topic, log_partition, seq)
    WHERE ROW(
        o.format, o.log_offset, o.occurred_at, o.kind, o.telegram_id, o.source, o.event_id, o.outcome,
        o.before::text, o.after::text, o.hash
    ) IS DISTINCT FROM ROW(
        n.format, n.log_offset, n.occurred_at, n.kind, n.telegram_id, n.source, n.event_id, n.outcome,
        n.before::text, n.after::text, n.hash
    )
    UNION ALL
    SELECT topic, log_partition, NULL
    FROM {live}.audit_chains AS o
    FULL JOIN {other}.audit_chains AS n USING (topic, log_partition)
    WHERE ROW(o.seq, o.log_offset, o.hash) IS DISTINCT FROM ROW(n.seq, n.log_offset, n.hash)
) AS d
GROUP BY topic, log_partition
ORDER BY topic, log_partition;

-- name: entries_from
-- The entries of one chain ($1, $2) from number $3 on.
SELECT
    topic, log_partition, seq, format, log_offset, occurred_at, kind, telegram_id, source, event_id, outcome,
    before::text, after::text, hash
FROM {schema}.audit_log
WHERE topic = $1 AND log_partition = $2 AND seq >= $3
ORDER BY seq;

-- name: ends
-- The end of a live chain ($1, $2), and the hash of the entry before number $3.
SELECT
    c.seq, c.log_offset, c.hash,
    (
        SELECT a.hash FROM {live}.audit_log AS a
        WHERE a.topic = c.topic AND a.log_partition = c.log_partition AND a.seq = $3 - 1
    ) AS hash_before
FROM {live}.audit_chains AS c
WHERE c.topic = $1 AND c.log_partition = $2;
