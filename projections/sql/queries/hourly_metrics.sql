-- The figures of each hour.

-- name: add_hours
-- What the hours gain. Every hour that the batch touches is here, in order, so that writers of different partitions wait
-- for each other and never deadlock.
INSERT INTO hourly_metrics AS h (
    hour, events, messages, messages_sent, payments, payment_failures, refunds, disputes, dead_letters,
    tier_changes, admin_actions
)
SELECT *
FROM unnest(
    $1::timestamptz[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]
)
ON CONFLICT (hour) DO UPDATE SET
    events = h.events + EXCLUDED.events,
    messages = h.messages + EXCLUDED.messages,
    messages_sent = h.messages_sent + EXCLUDED.messages_sent,
    payments = h.payments + EXCLUDED.payments,
    payment_failures = h.payment_failures + EXCLUDED.payment_failures,
    refunds = h.refunds + EXCLUDED.refunds,
    disputes = h.disputes + EXCLUDED.disputes,
    dead_letters = h.dead_letters + EXCLUDED.dead_letters,
    tier_changes = h.tier_changes + EXCLUDED.tier_changes,
    admin_actions = h.admin_actions + EXCLUDED.admin_actions;

-- name: subtract_hours
-- What hours lose to other hours: facts that turned out to have happened earlier, refunds that failed, conflicts.
UPDATE hourly_metrics AS h SET
    events = h.events - l.events,
    messages = h.messages - l.messages,
    messages_sent = h.messages_sent - l.messages_sent,
    payments = h.payments - l.payments,
    payment_failures = h.payment_failures - l.payment_failures,
    refunds = h.refunds - l.refunds,
    disputes = h.disputes - l.disputes,
    dead_letters = h.dead_letters - l.dead_letters,
    tier_changes = h.tier_changes - l.tier_changes,
    admin_actions = h.admin_actions - l.admin_actions
FROM unnest(
    $1::timestamptz[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]
) AS l (
    hour, events, messages, messages_sent, payments, payment_failures, refunds, disputes, dead_letters,
    tier_changes, admin_actions
)
WHERE h.hour = l.hour;

-- name: drop_empty_hours
-- Hours in which nothing happened after all: the same table in whatever order the facts arrived.
DELETE FROM hourly_metrics
WHERE hour = ANY ($1::timestamptz[])
  AND (
      events, messages, messages_sent, payments, payment_failures, refunds, disputes, dead_letters, tier_changes,
      admin_actions
  ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
