-- What is removed in time.

-- name: horizons
-- From when on the rows of these tables ($1) are kept; a table of which nothing was ever removed has no row.
SELECT table_name, horizon FROM botpulse.retention_horizons WHERE table_name = ANY ($1::text[]);
