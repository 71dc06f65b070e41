-- What comparing the whole log with the tables came to.

-- name: record
-- A comparison that has just ended.
INSERT INTO verifications (finished_at, seconds, records, differences)
VALUES (now(), round($1::double precision::numeric, 3), $2, $3);

-- name: latest
-- The last one.
SELECT finished_at, differences FROM verifications ORDER BY finished_at DESC LIMIT 1;
