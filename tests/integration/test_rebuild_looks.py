"""A rebuild that only looks at some days, and one that reads exported days in place of the broker."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from deploy.local import StackInfo
from projections.generations.parts import rebuild_user
from projections.generations.plan import Plan
from projections.registry import apply
from projections.settings import Settings
from projections.sources.broker import BrokerAddress
from projections.sources.exported import ExportAddress
from projections.verify.partition import Selection
from projections.verify.run import verify
from schemas.topics import Topics
from tests.support.cli import botpulse
from tests.support.rebuilding import Rebuilding, rebuilding


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Rebuilding]:
    async with rebuilding(stack, topics, database_url) as made:
        yield made


async def forget_the_log(work: Rebuilding) -> None:
    """Delete what is on the topic of events, as a retention of some days would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=work.bootstrap_servers)
    await admin.start()
    try:
        places = {TopicPartition(topic, number): end for (topic, number), end in (await work.ends()).items() if end}
        await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in places.items()})
    finally:
        await admin.close()


class Steps:
    """How far a rebuild says that it is."""

    total = done = 0

    def step(self, title: str, total: int) -> None:
        assert self.done == self.total, title
        self.total, self.done = total, 0

    def moved(self, units: int) -> None:
        self.done += units

    def tell(self, line: str) -> None: ...


async def abort_a_transaction(work: Rebuilding) -> None:
    """Put a record on every partition that is never read, and the end of its transaction."""
    async with AIOKafkaProducer(
        bootstrap_servers=work.bootstrap_servers, transactional_id=work.topics.prefix
    ) as sender:
        await sender.begin_transaction()
        for topic, number in await work.ends():
            if topic == work.topics.events.name:
                await sender.send(topic, b"never there", partition=number)
        await sender.abort_transaction()


async def test_a_look_at_some_days_and_exported_days_in_place_of_the_broker(work: Rebuilding, tmp_path: Path) -> None:
    await work.simulate(3_000, seed=21)
    worker = work.live()
    await work.applied()
    rows = await work.query("SELECT date FROM daily_metrics WHERE revenue_cents > 0 ORDER BY date DESC LIMIT 2")
    last, before_last = (row["date"].isoformat() for row in rows)
    good = await work.tables()
    await work.execute("UPDATE daily_metrics SET revenue_cents = revenue_cents + 100")
    busiest = await work.query("SELECT telegram_id FROM user_days GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
    user = str(busiest[0]["telegram_id"])
    await work.execute(f"UPDATE users SET lifetime_messages = 0 WHERE telegram_id = {user}")  # noqa: S608
    spoiled = await work.tables()

    # The days looked at, and no others; nothing is swapped, whatever was agreed to.
    out, _ = await work.rebuild("--from", before_last, "--to", last, "--yes", "--json", status=1)
    (difference,) = json.loads(out)["differences"]
    assert (difference["table"], difference["changed"]) == ("daily_metrics", 1)
    assert difference["rows"][0]["key"] == {"date": before_last}
    out, _ = await work.rebuild("--to", "2014-01-01", "--json")
    assert json.loads(out)["differences"] == []
    assert await work.tables() == spoiled
    assert await work.schemas() == ["botpulse"]
    await work.rebuild("--from", last, "--to", before_last, status=2)

    # What the broker has deleted since it was exported is read from the files, and the rest from the broker.
    exported = await botpulse(work.environment, "export", str(tmp_path), "--with-today")
    assert exported.status == 0, exported.err
    # With everything exported no broker is needed at all.
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    offline = ("--from-export", str(tmp_path), "--offline", "--dry-run", "--json")
    out, _ = await work.rebuild(*offline, status=1, settings=nowhere)
    assert [d["table"] for d in json.loads(out)["differences"]] == ["daily_metrics", "users"]
    out, _ = await work.rebuild(*offline, "--user", user, status=1, settings=nowhere)
    assert [d["table"] for d in json.loads(out)["differences"]] == ["users"]
    await work.rebuild("--offline", status=2)
    await forget_the_log(work)
    await work.simulate(500, seed=22)
    await work.applied()
    for which in ((), ("--user", user)):
        _, err = await work.rebuild(*offline, *which, status=2, settings=nowhere)
        assert "the tables have come further than the export" in err
    _, err = await work.rebuild("--dry-run", status=2)
    assert "no longer has the records" in err
    await work.rebuild("--user", user, "--yes", "--from-export", str(tmp_path))
    out, _ = await work.rebuild("--yes", "--json", "--from-export", str(tmp_path))
    told = json.loads(out)
    assert [difference["table"] for difference in told["differences"]] == ["daily_metrics"]
    assert told["applied"]
    await work.simulate(100, seed=23)
    await work.applied()
    out, _ = await work.rebuild("--dry-run", "--json", "--from-export", str(tmp_path))
    assert json.loads(out)["differences"] == []
    verified = await botpulse(work.environment, "verify", "--from-export", str(tmp_path))
    assert verified.status == 0, verified.out

    # Every bar ends at its total, whatever offsets have no record, or none that is wanted.
    await abort_a_transaction(work)
    await work.applied()
    log = ExportAddress(tmp_path, BrokerAddress(work.bootstrap_servers))
    for selection in (Selection(), Selection(share=0.05), Selection(user=int(user))):
        told: list[tuple[int, int]] = []
        outcome = await verify(
            work.database_url,
            log,
            work.topics,
            selection=selection,
            aggregates=False,
            progress=lambda *done: told.append(done),  # noqa: B023  # called within the loop
        )
        assert outcome.differences.total == 0
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1] > outcome.records
    steps = Steps()
    settings = Settings.model_validate(work.environment)
    await rebuild_user(settings, apply, int(user), Plan(1, dry_run=True, agree=lambda _: False, log=log), steps)
    assert steps.done == steps.total > 0

    # The day that is not over is not exchanged for what the broker still has of it.
    again = await botpulse(work.environment, "export", str(tmp_path), "--with-today")
    assert again.status == 2
    assert "would lose records" in again.err
    verified = await botpulse(work.environment, "verify", "--from-export", str(tmp_path))
    assert verified.status == 0, verified.out
    assert worker.process.poll() is None, worker.said()
    assert {row[0] for row in good["users"]} <= {row[0] for row in (await work.tables())["users"]}

    # Tables that have come further than the log can be of another one: nobody waits for what never comes.
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0
    await work.execute("UPDATE checkpoints SET next_offset = next_offset + 100000")
    for command in (("explain", user), ("rebuild", "--user", user), ("rebuild", "--dry-run"), ("verify",)):
        ended = await botpulse(work.environment, *command)
        assert (ended.status, "but the log ends at" in ended.err) == (2, True), ended.err
