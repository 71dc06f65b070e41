"""A checkpoint and a log that don't belong together end in exit status 2 and one line, before anything is written."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support import topics as topic_tools
from tests.support.polling import until
from tests.support.projecting import Bench, bench, grants


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    async with bench(stack.bootstrap_servers, topics, database_url) as made:
        await made.send(grants(range(1, 21), range(5)))
        async with made.running():
            await made.caught_up()
        yield made


async def refuses(work: Bench, said: str) -> None:
    before = await work.counted()
    worker = work.start()
    assert await worker.ended() == 2, worker.said()
    assert said in worker.last_line()
    assert "do not belong together" in worker.last_line()
    assert "Traceback" not in worker.said()
    assert await work.counted() == before


async def test_a_log_that_ends_before_the_checkpoint(work: Bench) -> None:
    await work.query("UPDATE checkpoints SET next_offset = next_offset + 1000 WHERE last_offset IS NOT NULL")
    await refuses(work, "but the log ends at")


async def test_another_record_where_the_last_one_was(work: Bench) -> None:
    await work.query("UPDATE checkpoints SET record_digest = substr(sha256('x'), 1, 16) WHERE last_offset IS NOT NULL")
    await refuses(work, "is not the one that was applied")


async def test_a_topic_that_was_recreated_and_filled_again(work: Bench) -> None:
    await topic_tools.delete(work.bootstrap_servers, work.topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=work.bootstrap_servers)
    await admin.start()
    try:

        async def gone() -> bool:
            return work.topics.events.name not in await admin.list_topics()

        await until(gone, "the topics to be gone")
    finally:
        await admin.close()
    await topic_tools.create(work.bootstrap_servers, work.topics, 4)
    await work.send(grants(range(101, 151), range(10)))
    await refuses(work, "is not the one that was applied")


async def test_a_log_whose_next_records_were_deleted(work: Bench) -> None:
    await work.send(grants(range(1, 21), range(5, 10)))
    admin = AIOKafkaAdminClient(bootstrap_servers=work.bootstrap_servers)
    await admin.start()
    try:
        ends = await work.ends()
        deleted = {
            TopicPartition(topic, partition): RecordsToDelete(end)
            for (topic, partition), end in ends.items()
            if topic == work.topics.events.name
        }
        await admin.delete_records(deleted)
    finally:
        await admin.close()
    await refuses(work, "but the log begins at")


async def test_a_log_whose_applied_records_were_deleted_goes_on(work: Bench) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=work.bootstrap_servers)
    await admin.start()
    try:
        ends = await work.ends()
        await admin.delete_records({TopicPartition(*place): RecordsToDelete(end) for place, end in ends.items() if end})
    finally:
        await admin.close()
    await work.send(grants(range(1, 21), range(5, 10)))
    async with work.running():
        await work.caught_up()
    assert await work.counted() == dict.fromkeys(range(1, 21), 10)
