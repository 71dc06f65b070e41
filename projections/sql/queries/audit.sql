-- The audit trail: its chains, how they grow and how they are proven.

-- name: load_heads
-- Where chains end.
SELECT c.topic, c.log_partition, c.seq, c.log_offset, c.hash
FROM unnest($1::text[], $2::integer[]) AS wanted (topic, log_partition)
JOIN audit_chains AS c USING (topic, log_partition);

-- name: append
-- A batch's rows, at the ends of their chains.
INSERT INTO audit_log (
    topic, log_partition, seq, format, log_offset, occurred_at, kind, telegram_id, source, event_id, outcome,
    before, after, hash
)
SELECT * FROM unnest(
    $1::text[], $2::integer[], $3::bigint[], $4::smallint[], $5::bigint[], $6::timestamptz[], $7::text[], $8::bigint[],
    $9::text[], $10::text[], $11::text[], $12::json[], $13::json[], $14::bytea[]
);

-- name: move_heads
-- The chains' new ends, in the same transaction as the rows.
INSERT INTO audit_chains AS c (topic, log_partition, seq, log_offset, hash)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bytea[])
ON CONFLICT (topic, log_partition) DO UPDATE SET
    seq = excluded.seq,
    log_offset = excluded.log_offset,
    hash = excluded.hash;

-- name: chains
-- All chains with their ends; a chain that lost its end is still found by its rows.
SELECT topic, log_partition, c.seq, c.hash, coalesce(l.last, 0) AS last_row
FROM audit_chains AS c
FULL JOIN (
    SELECT topic, log_partition, max(seq) AS last FROM audit_log GROUP BY topic, log_partition
) AS l USING (topic, log_partition)
ORDER BY topic, log_partition;

-- name: first_break
-- Walks one chain ($1, $2) from the row after $3 (whose hash is $4, empty before the first row) to $5: the first place that
-- is missing or whose hash is not that of its row and the one before, and what was found there. No row: all is well.
SELECT w.expected, w.seq AS found
FROM (
    SELECT
        a.seq,
        $3::bigint + row_number() OVER (ORDER BY a.seq) AS expected,
        a.hash = sha256(
            coalesce(lag(a.hash) OVER (ORDER BY a.seq), $4::bytea) || convert_to(json_build_array(
                a.format, a.topic, a.log_partition, a.seq, a.log_offset, (extract(epoch FROM a.occurred_at) * 1000000)::bigint,
                a.kind, a.telegram_id, a.source, a.event_id, a.outcome, a.before, a.after
            )::text, 'UTF8')
        ) AS is_right
    FROM audit_log AS a
    WHERE a.topic = $1 AND a.log_partition = $2 AND a.seq > $3 AND a.seq <= $5::bigint
) AS w
WHERE w.seq <> w.expected OR NOT w.is_right
ORDER BY w.seq
LIMIT 1;

-- name: hashes
-- The hashes of some rows of the trail.
SELECT w.topic, w.log_partition, w.seq, a.hash
FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS w (topic, log_partition, seq)
LEFT JOIN audit_log AS a USING (topic, log_partition, seq);
