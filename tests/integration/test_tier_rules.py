"""A new version of the tier rules: users are decided anew at their next event, or all at once on request."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support import log
from tests.support.code import copied
from tests.support.services import eventually, service

USERS = 30


def payments(number: int, users: range) -> list[dict[str, Any]]:
    """One payment of 100 cents by each of these users."""
    return [
        {
            "specversion": "1.0",
            "id": f"p{number}-{user}",
            "source": "/bots/test",
            "type": "botpulse.payment.succeeded.v1",
            "subject": str(user),
            "time": f"2026-01-0{number}T00:00:00Z",
            "data": {"charge_id": f"ch{number}", "provider": "stripe", "method": "card", "amount_cents": 100},
        }
        for user in users
    ]


def with_second_version(folder: Path) -> Path:
    """A copy of the packages whose rules have a version 2: regular from two purchases on."""
    copied(folder)
    path = folder / "schemas" / "tier_rules.json"
    rules = json.loads(path.read_text())
    tiers = [dict(tier) for tier in rules[-1]["tiers"]]
    next(tier for tier in tiers if tier["name"] == "regular")["min_purchases"] = 2
    path.write_text(json.dumps([*rules, {"version": 2, "tiers": tiers}]))
    return folder


async def test_a_new_version_is_applied_lazily_and_at_once(stack: StackInfo, topics: Topics, tmp_path: Path) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "BOTPULSE_TOPIC_PREFIX": topics.prefix,
        "STREAMS_SESSION_TIMEOUT_SECONDS": "3",
    }
    code = with_second_version(tmp_path / "newer")

    async def folded() -> bool:
        return await log.folded(stack.bootstrap_servers, topics)

    async def changes() -> list[dict[str, Any]]:
        records = await log.read_all(stack.bootstrap_servers, topics.tier_changes.name)
        by_id = {json.loads(record.value)["id"]: record.value for record in records}
        assert all(by_id[json.loads(record.value)["id"]] == record.value for record in records)
        return [json.loads(value) for value in by_id.values()]

    async def apply() -> int:
        command = [sys.executable, "-c", "from deploy.cli import main; main()", "tiers", "apply", "--json"]
        run = asyncio.to_thread(
            subprocess.run,
            command,
            env={**os.environ, **environment},
            cwd=code,
            capture_output=True,
            check=True,
            timeout=100,
        )
        return int(json.loads((await run).stdout)["users"])

    for number in (1, 2):
        await log.publish(stack.bootstrap_servers, topics, payments(number, range(1, USERS + 1)))
    with service("streams", environment, tmp_path / "1.log") as worker:
        await eventually(folded, "version 1 has folded the log")
        assert worker.terminate() == 0
    assert await changes() == []

    with service("streams", environment, tmp_path / "2.log", code) as worker:
        await log.publish(stack.bootstrap_servers, topics, [{**payments(3, range(1, 2))[0], "id": "lazy"}])
        await eventually(folded, "version 2 has folded an event")
        assert worker.terminate() == 0
    (lazy,) = await changes()
    assert (lazy["subject"], lazy["data"]["current"], lazy["data"]["rules_version"]) == ("1", "regular", 2)
    assert lazy["data"]["caused_by"] == {"source": "/bots/test", "id": "lazy"}

    applying = asyncio.create_task(apply())
    crashing = {**environment, "BOTPULSE_CRASH_POINT": "sent:2"}
    with service("streams", crashing, tmp_path / "3.log", code) as worker:
        assert await worker.exited() == -9
    with service("streams", environment, tmp_path / "4.log", code) as worker:
        assert await applying == USERS
        assert await apply() == USERS
        assert worker.terminate() == 0
    found = await changes()
    causes = Counter(change["data"]["caused_by"]["source"] for change in found)
    assert causes == {"/bots/test": 1, "botpulse:/rules": USERS - 1}
    assert {change["subject"] for change in found} == {str(user) for user in range(1, USERS + 1)}
    assert {change["data"]["caused_by"]["id"] for change in found} == {"lazy", "2"}
    tiers = {aggregate["tier"] for aggregate in (await log.aggregates(stack.bootstrap_servers, topics)).values()}
    assert tiers == {"regular"}
