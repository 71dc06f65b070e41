"""kill -9 of either service in the middle of a run: the totals stay exact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import asyncpg

from deploy.demo.agreement import check
from tests.support import log
from tests.support.installation import Installation
from tests.support.services import eventually

EVENTS = 20_000
FAULTS = "duplicates=0.01,late=0.05,refund_first=0.3,poison=0.002,conflicts=0.002"


async def test_totals_are_exact_when_each_service_is_killed_in_the_middle(installation: Installation) -> None:
    books = installation.folder / "books.json"
    arguments = ["--users=300", "--seed=7", "--rate=3000", f"--faults={FAULTS}", f"--expect={books}"]

    def beyond(count: Callable[[], Any], share: float) -> Callable[[], Any]:
        async def condition() -> bool:
            return bool(await count() > EVENTS * share)

        return condition

    with ExitStack() as running:
        streams, projections = installation.start("streams", running), installation.start("projections", running)
        # At this rate the log grows until long after both were killed.
        simulating = asyncio.create_task(installation.botpulse("simulate", f"--events={EVENTS}", *arguments))
        await eventually(beyond(installation.folded, 0.1), "streams is in the middle")
        streams.kill()
        await eventually(beyond(installation.projected, 0.2), "projections is in the middle")
        projections.kill()
        assert not simulating.done()
        streams, projections = installation.start("streams", running), installation.start("projections", running)
        await simulating
        await installation.botpulse("wait", "--timeout=120")
        assert streams.terminate() == 0
        assert projections.terminate() == 0

    connection = await asyncpg.connect(installation.database_url)
    try:
        report = json.loads(books.read_text())
        agreement = await check(report, connection, installation.stack.bootstrap_servers, installation.topics)
    finally:
        await connection.close()
    assert agreement.differences == []
    assert agreement.users == 300
    changes = await installation.value("SELECT count(*) FROM botpulse.tier_history")
    sent = await log.read_all(installation.stack.bootstrap_servers, installation.topics.tier_changes.name)
    assert changes == len({json.loads(record.value)["id"] for record in sent})
    letters = await log.read_all(installation.stack.bootstrap_servers, installation.topics.dead_letters.name)
    refused = {(log.header(letter, "dl-partition"), log.header(letter, "dl-offset")) for letter in letters}
    assert len(refused) == report["counts"]["refused"] + report["counts"]["conflicts"]
