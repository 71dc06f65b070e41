-- The figures of each day.

-- name: add_days
-- What the days gain. Every day that the batch touches is here, in order, so that writers of different partitions wait
-- for each other and never deadlock.
INSERT INTO daily_metrics AS d (
    date, active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents,
    dispute_lost_cents, successful_payments, failed_payments, auto_recharge_triggers, content_unlocks,
    credits_spent, new_disputes
)
SELECT *
FROM unnest(
    $1::date[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]
)
ON CONFLICT (date) DO UPDATE SET
    active_users = d.active_users + EXCLUDED.active_users,
    new_users = d.new_users + EXCLUDED.new_users,
    messages_received = d.messages_received + EXCLUDED.messages_received,
    messages_sent = d.messages_sent + EXCLUDED.messages_sent,
    revenue_cents = d.revenue_cents + EXCLUDED.revenue_cents,
    refunded_cents = d.refunded_cents + EXCLUDED.refunded_cents,
    dispute_lost_cents = d.dispute_lost_cents + EXCLUDED.dispute_lost_cents,
    successful_payments = d.successful_payments + EXCLUDED.successful_payments,
    failed_payments = d.failed_payments + EXCLUDED.failed_payments,
    auto_recharge_triggers = d.auto_recharge_triggers + EXCLUDED.auto_recharge_triggers,
    content_unlocks = d.content_unlocks + EXCLUDED.content_unlocks,
    credits_spent = d.credits_spent + EXCLUDED.credits_spent,
    new_disputes = d.new_disputes + EXCLUDED.new_disputes;

-- name: subtract_days
-- What days lose to other days: facts that turned out to have happened earlier, failed refunds, disputes won after all.
UPDATE daily_metrics AS d SET
    active_users = d.active_users - l.active_users,
    new_users = d.new_users - l.new_users,
    messages_received = d.messages_received - l.messages_received,
    messages_sent = d.messages_sent - l.messages_sent,
    revenue_cents = d.revenue_cents - l.revenue_cents,
    refunded_cents = d.refunded_cents - l.refunded_cents,
    dispute_lost_cents = d.dispute_lost_cents - l.dispute_lost_cents,
    successful_payments = d.successful_payments - l.successful_payments,
    failed_payments = d.failed_payments - l.failed_payments,
    auto_recharge_triggers = d.auto_recharge_triggers - l.auto_recharge_triggers,
    content_unlocks = d.content_unlocks - l.content_unlocks,
    credits_spent = d.credits_spent - l.credits_spent,
    new_disputes = d.new_disputes - l.new_disputes
FROM unnest(
    $1::date[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]
) AS l (
    date, active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents,
    dispute_lost_cents, successful_payments, failed_payments, auto_recharge_triggers, content_unlocks,
    credits_spent, new_disputes
)
WHERE d.date = l.date;

-- name: drop_empty_days
-- Days on which nothing happened after all: the same table in whatever order the facts arrived.
DELETE FROM daily_metrics
WHERE date = ANY ($1::date[])
  AND (
      active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents,
      dispute_lost_cents, successful_payments, failed_payments, auto_recharge_triggers, content_unlocks,
      credits_spent, new_disputes
  ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
