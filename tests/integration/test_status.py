"""`botpulse status`: every partition's checkpoint against the log, on a real Kafka and Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deploy.local import StackInfo
from deploy.status import Partition, Progress, look
from schemas.topics import Topics
from tests.support.cli import botpulse
from tests.support.counting import BAD_CREDITS
from tests.support.projecting import Bench, bench, grant, grants


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    async with bench(stack.bootstrap_servers, topics, database_url) as made:
        yield made


async def test_lag_owner_epoch_and_rate_of_every_partition(work: Bench) -> None:
    await work.send(grants(range(1, 11), range(10)))
    now = await look(work.bootstrap_servers, work.database_url, work.topics, seconds=0.1)
    ends = await work.ends()
    events = [one for one in now.partitions if one.topic == work.topics.events.name]
    assert len(now.partitions) == len(ends)
    assert sum(one.lag_records for one in events) == now.streams_lag_records == 100
    waiting = [one for one in events if one.lag_records]
    assert all(0 < one.lag_seconds < 60 for one in waiting)
    assert {(one.owner, one.epoch, one.checkpoint) for one in now.partitions} == {(None, 0, 0)}

    async with work.running():
        await work.caught_up()
        now = await look(work.bootstrap_servers, work.database_url, work.topics, seconds=0.1)
    assert all((one.lag_records, one.lag_seconds, one.records_per_second) == (0, 0, 0) for one in now.partitions)
    assert {(one.topic, one.partition): one.end for one in now.partitions} == ends
    assert [one for one in now.partitions if (one.checkpoint, one.epoch, one.connected) != (one.end, 1, True)] == []
    assert now.findings() == []

    # The worker has gone, and somebody moves a checkpoint between the two looks.
    place = waiting[0].topic, waiting[0].partition
    await work.query("UPDATE checkpoints SET next_offset = 0, last_offset = NULL, record_digest = NULL,"
                     " last_appended_at = NULL WHERE topic = $1 AND partition = $2", *place)  # fmt: skip
    (again,) = [
        one
        for one in (await look(work.bootstrap_servers, work.database_url, work.topics, seconds=0.1)).partitions
        if (one.topic, one.partition) == place
    ]
    assert (again.lag_records, again.connected) == (ends[place], False)


async def test_the_command_with_both_addresses_and_no_local_stack(work: Bench) -> None:
    bad = grant(1, 100, worth=BAD_CREDITS)
    await work.send([*grants(range(1, 11), range(10)), bad])
    async with work.running():
        await work.caught_up()
        ran = await botpulse(work.environment, "status", "--json", "--seconds", "0.2")
    assert ran.status == 1, ran.err
    projections = ran.json["projections"]
    assert projections["open_refusals"] == 1
    # The refused event's letter is on a topic of its own, which the projections read too.
    events = [one for one in projections["partitions"] if one["topic"] == work.topics.events.name]
    assert sum(one["checkpoint"] for one in events) == 101
    assert sum(one["lag_records"] for one in events) == 0
    assert ran.json["streams"]["lag_records"] == 101
    assert "dead-letters" in ran.json["findings"][0]
    assert "kafka" not in ran.json

    ran = await botpulse(work.environment, "status", "--seconds", "0.2")
    assert ran.status == 1
    assert f"{work.topics.events.name}/0" in ran.out
    assert "(gone)" in ran.out
    assert "streams is 101 records behind" in ran.out


async def test_what_is_not_set_up_yet_is_said(
    stack: StackInfo, topics: Topics, empty_database_url: str, database_url: str
) -> None:
    settings = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}
    ran = await botpulse({**settings, "DATABASE_URL": empty_database_url}, "status")
    assert (ran.status, "botpulse migrate" in ran.out) == (1, True), ran
    ran = await botpulse({**settings, "DATABASE_URL": database_url, "BOTPULSE_TOPIC_PREFIX": "none."}, "status")
    assert (ran.status, "botpulse topics apply" in ran.out) == (1, True), ran
    ran = await botpulse({**settings, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}, "status")
    assert (ran.status, "DATABASE_URL" in ran.err) == (2, True), ran


def test_a_partition_that_nobody_applies_is_a_finding() -> None:
    still = Partition("t", 0, 5, 9, 4, 61.0, 3, "host/1", False, 0.0, 61.0)
    for worse in ({}, {"idle_seconds": None}, {"connected": True}):
        assert Progress([Partition(**{**vars_of(still), **worse})]).findings()
    for better in ({"lag_seconds": 59.0}, {"idle_seconds": 59.0}, {"lag_records": 0}):
        assert not Progress([Partition(**{**vars_of(still), **better})]).findings()


def vars_of(partition: Partition) -> dict[str, object]:
    return {name: getattr(partition, name) for name in Partition.__dataclass_fields__}
