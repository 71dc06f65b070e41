"""Changelogs that were lost or made anew under committed offsets stop the worker: nothing goes on from nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support import log
from tests.support.services import Service, eventually
from tests.support.streaming import Bench
from tests.support.topics import recreate


@pytest.fixture
async def bench(stack: StackInfo, topics: Topics, tmp_path: Path) -> Bench:
    return Bench(stack, topics, tmp_path)


async def has_folded(bench: Bench, count: int) -> None:
    await bench.publish(count)
    with bench.worker() as worker:
        await eventually(bench.folded, "folded")
        assert worker.terminate() == 0


async def commit(bench: Bench, offsets: dict[TopicPartition, int]) -> None:
    """Commit these offsets as any other program would, when the group's last member is forgotten."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bench.bootstrap, group_id=bench.topics.streams_group, enable_auto_commit=False
    ) as consumer:
        places = {TopicPartition(*tp): offset for tp, offset in offsets.items()}
        consumer.assign(list(places))

        async def taken() -> bool:
            try:
                await consumer.commit(places)
            except CommitFailedError:
                return False
            return True

        await eventually(taken, "the group is empty")


async def refused(worker: Service, *words: str, advice: str = "botpulse rebuild --streams") -> None:
    assert await worker.exited() == 2
    (line,) = [line for line in worker.output.splitlines() if line.startswith("botpulse streams: ")]
    assert all(word in line for word in (*words, advice))
    assert "Traceback" not in worker.output


@pytest.mark.parametrize(
    ("name", "noted"), [("user_aggregates", True), ("user_aggregates", False), ("user_ledger", False)]
)
async def test_a_topic_made_anew_under_committed_offsets(bench: Bench, name: str, noted: bool) -> None:
    await has_folded(bench, 400)
    lost = getattr(bench.topics, name)
    await recreate(bench.bootstrap, bench.topics, lost)
    if not noted:
        await commit(bench, await log.committed(bench.bootstrap, bench.topics.streams_group))
    before = await log.committed(bench.bootstrap, bench.topics.streams_group)
    await bench.publish(40)
    with bench.worker() as worker:
        await refused(worker, lost.name)
    assert await log.committed(bench.bootstrap, bench.topics.streams_group) == before
    assert await log.read_all(bench.bootstrap, lost.name) == []


@pytest.mark.parametrize("name", ["user_aggregates", "user_ledger"])
async def test_a_topic_made_anew_under_a_worker(bench: Bench, name: str) -> None:
    """It ends at its next write, and the write, which is all that the topic has now, is not taken for the state."""
    lost = getattr(bench.topics, name)
    with bench.worker() as worker:
        for _ in range(3):  # several records a user, so that the topic ends further than one write of all users does
            await bench.publish(200)
            await eventually(bench.folded, "folded")
        await recreate(bench.bootstrap, bench.topics, lost)
        await bench.publish(200)
        await refused(worker, lost.name)
    with bench.worker() as worker:
        await refused(worker, lost.name)


async def test_a_commit_without_a_note_is_asked_about_the_log_itself(bench: Bench) -> None:
    """Behind the last event that counts lie only letters: the state has all."""
    await has_folded(bench, 400)
    poison: dict[str, Any] = {"subject": "1", "type": "no event"}
    await log.publish(bench.bootstrap, bench.topics, [poison] * 50)
    with bench.worker() as worker:
        await eventually(bench.folded, "the letters are written")
        assert worker.terminate() == 0
    await commit(bench, await log.committed(bench.bootstrap, bench.topics.streams_group))
    await has_folded(bench, 40)
    await bench.check()
    assert len(await log.read_all(bench.bootstrap, bench.topics.dead_letters.name)) == 50


async def test_the_log_made_anew_under_committed_offsets(bench: Bench) -> None:
    await has_folded(bench, 400)
    done = await log.committed(bench.bootstrap, bench.topics.streams_group)
    notes = await log.notes(bench.bootstrap, bench.topics.streams_group)
    assert all(json.loads(note)["applied"] < done[tp] for tp, note in notes.items())
    await recreate(bench.bootstrap, bench.topics, bench.topics.events)
    # A broker forgets the offsets of a topic that is deleted; one that was restored may have them.
    await commit(bench, done)
    with bench.worker() as worker:
        await refused(worker, bench.topics.events.name, advice="Bring the log back")
