"""A worker frozen between fold and changelog, back when another one has moved on; then a real compaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local import StackInfo
from schemas.topics import Topic, Topics
from tests.support import code, log
from tests.support.services import Service, eventually
from tests.support.streaming import Bench

NODE = "1"
"""The tests' one broker."""


@pytest.fixture
async def bench(stack: StackInfo, topics: Topics, tmp_path: Path) -> Bench:
    return Bench(stack, topics, tmp_path)


@asynccontextmanager
async def eager_cleaner(bench: Bench) -> AsyncIterator[None]:
    """The broker looks for something to compact all the time, not every 15 s."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bench.bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, NODE, {"log.cleaner.backoff.ms": "100"})])
        yield
    finally:
        await admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, NODE, {})])
        await admin.close()


async def compact(bench: Bench, topic: Topic) -> None:
    """Have the broker compact all that is on the topic now, but for what its last segment holds."""
    before = await log.read_all(bench.bootstrap, topic.name)
    at_once = {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": "0",
        "min.cleanable.dirty.ratio": "0.001",
        "segment.ms": "1",
        "segment.bytes": str(1024 * 1024),
    }
    await log.configure(bench.bootstrap, topic.name, at_once)
    last = {record.partition: record.offset for record in before}
    # A segment ends when the next record comes: these lie behind everything that is to be compacted.
    with bench.worker() as worker:
        for _ in range(2):
            await bench.publish(160)
            await eventually(bench.folded, "every partition's last segment is a new one")
        assert worker.terminate() == 0

    async def compacted() -> bool:
        old = [r for r in await log.read_all(bench.bootstrap, topic.name) if r.offset <= last[r.partition]]
        return len(old) == len({record.key for record in old})

    await eventually(compacted, f"{topic.name} has one record a key")


def frozen(worker: Service) -> bool:
    return psutil.Process(worker.process.pid).status() == psutil.STATUS_STOPPED


@contextmanager
def frozen_worker(bench: Bench, point: str, tree: Path | None = None) -> Iterator[Service]:
    with bench.worker(tree, BOTPULSE_FREEZE_POINT=f"{point}:3") as worker:
        yield worker


async def stale_records(bench: Bench) -> int:
    """How many aggregates lie on the topic behind one of the same user that has applied more."""
    newest: dict[bytes, int] = {}
    stale = 0
    for record in await log.read_all(bench.bootstrap, bench.topics.user_aggregates.name):
        applied = log.applied(record)
        stale += applied < newest.get(record.key, -1)
        newest[record.key] = max(applied, newest.get(record.key, -1))
    return stale


async def test_a_worker_frozen_before_its_changelog_writes_nothing_when_it_is_back(bench: Bench) -> None:
    await bench.publish(1000)
    with frozen_worker(bench, "sent") as zombie:
        await eventually(lambda: frozen(zombie), "the worker is frozen between fold and changelog")
        await bench.publish(1000)
        with bench.worker() as successor:
            await eventually(bench.folded, "the successor took over and moved on")
            written = await log.ends(bench.bootstrap, bench.topics.user_aggregates.name)
            zombie.thaw()
            assert await zombie.exited() == 1
            (line,) = [line for line in zombie.output.splitlines() if line.startswith("botpulse streams: ")]
            assert "frozen" in line
            assert "Traceback" not in zombie.output
            assert await log.ends(bench.bootstrap, bench.topics.user_aggregates.name) == written
            assert successor.terminate() == 0
    async with eager_cleaner(bench):
        await compact(bench, bench.topics.user_aggregates)
    await restart_and_check(bench)


async def test_what_a_zombie_wrote_over_newer_aggregates_is_mended_before_it_is_compacted(
    bench: Bench, tmp_path: Path
) -> None:
    """This worker does not notice that it was frozen, and gets its old values out."""
    tree = code.copied(tmp_path / "unaware")
    code.replace(tree / "streams" / "liveness.py", "silent >= self._session_timeout_seconds", "silent < 0")
    await bench.publish(1000)
    with frozen_worker(bench, "folded", tree) as zombie:
        await eventually(lambda: frozen(zombie), "the worker is frozen between fold and changelog")
        await bench.publish(1000)
        with bench.worker() as successor:
            await eventually(bench.folded, "the successor took over and moved on")
            assert await stale_records(bench) == 0
            zombie.thaw()

            async def overwritten() -> bool:
                return await stale_records(bench) > 0

            await eventually(overwritten, "old aggregates lie behind newer ones")
            zombie.kill()
            assert successor.terminate() == 0
    with bench.worker() as mending:
        await bench.publish(100)
        await eventually(bench.folded, "a restart carries on")
        assert mending.terminate() == 0
    async with eager_cleaner(bench):
        await compact(bench, bench.topics.user_aggregates)
        await compact(bench, bench.topics.user_ledger)
    assert await stale_records(bench) == 0
    await restart_and_check(bench)


async def restart_and_check(bench: Bench) -> None:
    with bench.worker() as last:
        await bench.publish(500)
        await eventually(bench.folded, "everything goes on from what is left")
        assert last.terminate() == 0
    await bench.check()
