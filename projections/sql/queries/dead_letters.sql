-- What was refused.

-- name: write_letters
-- One row a refused record and stage; a letter that was sent twice tells nothing new. Returns the broker's times of the
-- new ones.
INSERT INTO dead_letters (
    topic, partition, log_offset, stage, reason, detail, appended_at, letter_partition, letter_offset
)
SELECT *
FROM unnest(
    $1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::integer[],
    $9::bigint[]
)
ON CONFLICT DO NOTHING
RETURNING appended_at;
