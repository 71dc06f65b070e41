"""The state folded anew: it agrees after any crash, and mends what was lost or damaged without repeated effects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local import StackInfo
from schemas.partitioner import partition_of
from schemas.topics import Topics
from tests.support import log
from tests.support.services import eventually
from tests.support.streaming import Bench
from tests.support.topics import recreate


@pytest.fixture
async def bench(stack: StackInfo, topics: Topics, tmp_path: Path) -> Bench:
    return Bench(stack, topics, tmp_path)


def rebuild(bench: Bench, *options: str, status: int) -> dict[str, Any]:
    """`botpulse rebuild --streams --json`, or what it said on standard error."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("botpulse")), "rebuild", "--streams", "--json", *options],
        env={**os.environ, **bench.environment()},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"said": done.stderr}
    return found


async def has_folded(bench: Bench, count: int) -> None:
    await bench.publish(count)
    with bench.worker() as worker:
        await eventually(bench.folded, "folded")
        assert worker.terminate() == 0


async def tier_changes(bench: Bench) -> int:
    return len(await log.read_all(bench.bootstrap, bench.topics.tier_changes.name))


async def test_an_undamaged_state_agrees_also_after_a_kill_before_its_commit(bench: Bench) -> None:
    await has_folded(bench, 1500)
    await bench.publish(500)
    with bench.worker(BOTPULSE_CRASH_POINT="changelog:2") as worker:
        await eventually(lambda: worker.process.poll() is not None, "killed")
    found = rebuild(bench, status=0)
    assert (found["aggregates_differing"], found["entries_differing"], found["tier_changes"]) == (0, 0, 0)
    assert found["users"] == 40
    assert found["entries"] > 200
    await has_folded(bench, 100)
    await bench.check()


async def test_lost_changelogs_are_rebuilt_and_no_effect_is_repeated(bench: Bench) -> None:
    await has_folded(bench, 1500)
    sent = await tier_changes(bench)
    assert sent > 0
    await recreate(bench.bootstrap, bench.topics, bench.topics.user_aggregates)
    await recreate(bench.bootstrap, bench.topics, bench.topics.user_ledger)
    with bench.worker() as worker:
        assert await worker.exited() == 2
    looked = rebuild(bench, "--dry-run", status=1)
    assert (looked["aggregates_differing"], looked["tier_changes"], looked["written"]) == (40, 0, False)
    assert await tier_changes(bench) == sent
    assert await log.read_all(bench.bootstrap, bench.topics.user_aggregates.name) == []
    assert rebuild(bench, "--yes", status=0)["written"]
    assert await tier_changes(bench) == sent
    await has_folded(bench, 500)
    await bench.check()


async def test_damaged_values_are_named_and_mended(bench: Bench) -> None:
    await has_folded(bench, 1500)
    aggregates = await log.aggregates(bench.bootstrap, bench.topics)
    entry = (await log.read_all(bench.bootstrap, bench.topics.user_ledger.name))[-1]
    offset, state = json.loads(entry.value)["versions"][-1]
    damaged = {"v": 1, "versions": [[offset, [state[0] + 1, *state[1:]]]]}
    aggregate = {**aggregates["7"], "spent_cents": 1, "tier": "new", "messages": 0}
    async with AIOKafkaProducer(bootstrap_servers=bench.bootstrap) as producer:
        for topic, key, value, partition in (
            (bench.topics.user_aggregates, b"7", aggregate, partition_of(b"7", 4)),
            (bench.topics.user_ledger, entry.key, damaged, entry.partition),
        ):
            content = json.dumps(value, separators=(",", ":")).encode()
            await producer.send_and_wait(topic.name, content, key=key, partition=partition)
    found = rebuild(bench, "--yes", status=0)
    assert (found["aggregates_differing"], found["entries_differing"], found["tier_changes"]) == (1, 1, 0)
    by_key = {difference["key"]: difference for difference in found["differences"]}
    assert by_key["7"]["live"] == {"tier": "new", "spent_cents": 1, "messages": 0}
    assert by_key["7"]["rebuilt"]["spent_cents"] == aggregates["7"]["spent_cents"]
    assert by_key[entry.key.decode()]["rebuilt"] == {"amount_cents": state[0]}
    assert rebuild(bench, status=0)["differences"] == []
    await has_folded(bench, 500)
    await bench.check()


async def test_what_the_bot_was_not_told_goes_out_once_as_the_net_change(bench: Bench) -> None:
    await has_folded(bench, 1500)
    await recreate(bench.bootstrap, bench.topics, bench.topics.tier_changes)
    tiers = {user: found["tier"] for user, found in (await log.aggregates(bench.bootstrap, bench.topics)).items()}
    owed = {user for user, tier in tiers.items() if tier != "new"}
    assert rebuild(bench, "--yes", status=0)["tier_changes"] == len(owed)
    assert rebuild(bench, "--yes", status=0)["tier_changes"] == 0
    records = await log.read_all(bench.bootstrap, bench.topics.tier_changes.name)
    changes = [json.loads(record.value) for record in records]
    assert {change["subject"]: (change["data"]["previous"], change["data"]["current"]) for change in changes} == {
        user: ("new", tiers[user]) for user in owed
    }
    assert len(changes) == len(owed)
    assert {change["data"]["caused_by"]["source"] for change in changes} == {"botpulse:/rebuild"}


async def test_a_worker_at_work_is_in_the_way(bench: Bench) -> None:
    with bench.worker() as worker:
        await eventually(lambda: "at work" in worker.output, "the worker is at work")
        assert "stop every" in rebuild(bench, "--yes", status=2)["said"]
        assert worker.terminate() == 0
