"""The exporter as a process: figures from a real Postgres, served with their age."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
import pytest

from deploy.exporter.figures import FIGURES
from deploy.local.ports import free_port
from tests.support.http import get
from tests.support.services import eventually, service

ROWS = """
INSERT INTO users (telegram_id, current_tier, purchase_count, total_spent_cents, last_active, registered_at)
SELECT n, t.tier, t.purchases, 1000 * t.purchases, now() - n * interval '4 days', now() - interval '100 days'
FROM generate_series(1, 5) AS n
JOIN (VALUES (true, 'regular', 1), (false, 'new', 0)) AS t (pays, tier, purchases) ON t.pays = (n <= 3);

INSERT INTO daily_metrics (
    date, active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents, dispute_lost_cents,
    successful_payments, failed_payments, auto_recharge_triggers, content_unlocks, credits_spent, new_disputes
)
SELECT (now() AT TIME ZONE 'UTC')::date - n, 4 + n, 2, 0, 0, 12345, 2345, 0, 1, 1, 0, 0, 0, 0
FROM generate_series(0, 1) AS n;

INSERT INTO payment_analytics (
    telegram_id, provider, charge_id, attempt_id, payment_status, settlement_status, failure_code, payment_method_type,
    amount_cents, refunded_cents, remainder_cents, dispute_lost_cents, is_auto_recharge, occurred_at, source, event_id
)
SELECT 1, 'stripe', p.charge, p.attempt, p.status, p.settlement, p.failure, 'card', 500, 0, p.cents, 0, false,
    now() - p.ago::interval, 's', p.ago
FROM (VALUES
    (NULL, 'a1', 'failed', NULL, 'declined', 0, '1 minute'),
    ('c2', NULL, 'succeeded', 'settled', NULL, 500, '2 minutes'),
    ('c3', NULL, 'succeeded', 'settled', NULL, 500, '3 minutes'),
    ('c4', NULL, 'succeeded', 'settled', NULL, 500, '2 hours'),
    ('c5', NULL, 'succeeded', 'settled', NULL, 500, '2 days')
) AS p (charge, attempt, status, settlement, failure, cents, ago);

INSERT INTO payment_disputes (telegram_id, provider, dispute_id, charge_id, amount_cents, opened_at, source, event_id)
VALUES (1, 'stripe', 'd1', 'c2', 500, now() - interval '1 hour', 's', 'e9');

INSERT INTO verifications VALUES ('2026-01-01Z', 1.5, 10, 0), ('2026-01-02Z', 1.5, 20, 3);
"""

EXPECTED = {
    "botpulse_business_revenue_today_dollars": 123.45,
    "botpulse_business_net_revenue_today_dollars": 100.0,
    "botpulse_business_active_users_today": 4,
    "botpulse_business_new_users_today": 2,
    'botpulse_business_users{tier="new"}': 2,
    'botpulse_business_users{tier="regular"}': 3,
    'botpulse_business_users{tier="vip"}': 0,
    'botpulse_business_payment_attempts{window="1h"}': 3,
    'botpulse_business_payment_attempts{window="24h"}': 4,
    'botpulse_business_payment_attempts{window="28d"}': 5,
    'botpulse_business_payment_success_ratio{window="1h"}': 2 / 3,
    'botpulse_business_payment_success_ratio{window="28d"}': 4 / 5,
    'botpulse_business_disputes_opened{window="24h"}': 1,
    "botpulse_business_paying_users": 3,
    # Silent for 4, 8 and 12 days; active is 7.
    "botpulse_business_paying_users_turned_inactive": 2,
    "botpulse_verify_differences": 3,
    "botpulse_verify_finished_timestamp_seconds": 1767312000,
}


def samples(text: str) -> dict[str, float]:
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


async def test_the_figures(database_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(ROWS)
    await connection.close()
    port = free_port()
    environment = {
        "EXPORTER_DATABASE_URL": database_url,
        "EXPORTER_HTTP_PORT": str(port),
        "EXPORTER_INTERVAL_SECONDS": "1",
    }
    with service("deploy.exporter", environment, tmp_path / "log") as exporter:
        await eventually(lambda: get(port, "/readyz") == (200, "ready\n"), "the first reading")
        _, text = get(port, "/metrics")
        found = samples(text)
        assert {name: found.get(name) for name in EXPECTED} == pytest.approx(EXPECTED)
        families = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
        assert {figure.name for figure in FIGURES} == {name for name in families if not name.startswith("process_")}
        assert any(name.startswith("botpulse_database_health{") for name in found)
        assert exporter.terminate() == 0, exporter.output


async def test_postgres_away(tmp_path: Path) -> None:
    port, nobody = free_port(), free_port()
    environment = {
        "EXPORTER_DATABASE_URL": f"postgresql://me:secret@127.0.0.1:{nobody}/x",
        "EXPORTER_HTTP_PORT": str(port),
    }
    with service("deploy.exporter", environment, tmp_path / "log") as exporter:
        await eventually(lambda: "no Postgres answers" in get(port, "/readyz")[1], "a reason")
        assert get(port, "/readyz")[0] == 503
        assert get(port, "/livez")[0] == 200
        assert "botpulse_business_revenue_today_dollars" not in samples(get(port, "/metrics")[1])
        assert exporter.terminate() == 0
    assert "secret" not in exporter.output
    assert "Traceback" not in exporter.output


@pytest.mark.parametrize("url", ["", "mysql://x"])
async def test_a_wrong_address(url: str, tmp_path: Path) -> None:
    with service("deploy.exporter", {"EXPORTER_DATABASE_URL": url}, tmp_path / "log") as exporter:
        assert await exporter.exited() == 2
    (line,) = exporter.output.splitlines()
    assert "EXPORTER_DATABASE_URL" in line
