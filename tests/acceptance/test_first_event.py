"""The way of the README: an event is published, applied by both services, and seen on the dashboard."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from tests.support import log
from tests.support.installation import Installation

EXAMPLE = Path("schemas/examples/payment/succeeded/v1/contract.json")


async def test_a_published_payment_reaches_the_dashboard(installation: Installation) -> None:
    root = Path(__file__).parents[2]
    with ExitStack() as running:
        streams, projections = installation.start("streams", running), installation.start("projections", running)
        await installation.botpulse("publish", str(root / EXAMPLE))
        await installation.botpulse("wait", "--timeout=60")
        assert streams.terminate() == 0
        assert projections.terminate() == 0
    row = await installation.value(
        """
        SELECT to_jsonb(d) FROM botpulse.user_dashboard d WHERE telegram_id = 123456789
        """
    )
    seen = json.loads(row)
    assert seen["current_tier"] == "new"
    assert seen["total_spent_dollars"] == 9.99
    assert seen["purchase_count"] == 1
    assert seen["lifetime_messages"] == 0
    aggregate = (await log.aggregates(installation.stack.bootstrap_servers, installation.topics))["123456789"]
    assert (aggregate["spent_cents"], aggregate["tier"], aggregate["messages"]) == (999, "new", 0)


async def test_refused_lines_are_named_and_the_rest_is_published(installation: Installation) -> None:
    good = json.loads((Path(__file__).parents[2] / EXAMPLE).read_text())
    bad = {**good, "data": {**good["data"], "amount_cents": "999"}}
    lines = "\n".join([json.dumps(good), json.dumps(bad), "{", json.dumps({**good, "id": "second"})])
    printed = await installation.botpulse("publish", "-", standard_input=lines, status=1)
    assert "line 2" in printed
    assert "amount_cents" in printed
    assert "line 3" in printed
    records = await log.read_all(installation.stack.bootstrap_servers, installation.topics.events.name)
    assert sorted(json.loads(record.value)["id"] for record in records) == sorted([good["id"], "second"])


async def test_wait_says_who_is_behind_when_the_time_is_over(installation: Installation) -> None:
    await installation.botpulse("publish", str(Path(__file__).parents[2] / EXAMPLE))
    printed = await installation.botpulse("wait", "--timeout=1", status=1)
    assert "streams" in printed
    assert "Traceback" not in printed
