"""`botpulse topics apply` on a real Kafka."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.kafka import admin, create_topics, partition_counts
from deploy.local import StackInfo
from schemas.errors import ConfigurationError
from schemas.topics import Topics
from tests.support.cli import botpulse
from tests.support.polling import until
from tests.support.topics import delete


@pytest.fixture
async def unborn(stack: StackInfo) -> AsyncIterator[Topics]:
    """Topics that don't exist yet."""
    topics = Topics(f"t{secrets.token_hex(4)}.")
    yield topics
    await delete(stack.bootstrap_servers, topics)


def settings(stack: StackInfo, topics: Topics) -> dict[str, str]:
    return {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}


async def test_creates_what_is_missing_and_changes_nothing_the_second_time(stack: StackInfo, unborn: Topics) -> None:
    first = await botpulse(settings(stack, unborn), "topics", "apply", "--partitions", "3", "--json")
    assert first.status == 0, first.err
    made = {topic["name"]: (topic["result"], topic["partitions"]) for topic in first.json["topics"]}
    assert made == {topic.name: ("created", topic.partitions or 3) for topic in unborn}
    async with admin(stack.bootstrap_servers) as client:
        counts = await partition_counts(client, [topic.name for topic in unborn])
    assert counts == {topic.name: topic.partitions or 3 for topic in unborn}

    second = await botpulse(settings(stack, unborn), "topics", "apply", "--json")
    assert {(topic["result"], topic["partitions"]) for topic in second.json["topics"]} == {
        ("unchanged", 3),
        ("unchanged", 1),
    }


async def test_refuses_another_partition_count_before_it_changes_anything(stack: StackInfo, unborn: Topics) -> None:
    await create_topics(stack.bootstrap_servers, unborn, 2)
    unborn.events.config["max.message.bytes"] = "2000000"
    with pytest.raises(ConfigurationError, match=f"never changes: {unborn.events.name} has 2"):
        await create_topics(stack.bootstrap_servers, unborn, 4)
    assert await topic_settings(stack, unborn.events.name, "max.message.bytes") == {"max.message.bytes": "1048576"}
    ran = await botpulse(settings(stack, unborn), "topics", "apply", "--partitions", "4")
    assert (ran.status, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1


async def test_updates_what_differs_and_keeps_what_others_have_set(stack: StackInfo, unborn: Topics) -> None:
    await create_topics(stack.bootstrap_servers, unborn, 2)
    async with admin(stack.bootstrap_servers) as client:
        theirs = {**unborn.events.config, "max.message.bytes": "5000", "segment.ms": "77777777"}
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, unborn.events.name, theirs)])

    async def altered() -> bool:
        return (await topic_settings(stack, unborn.events.name, "segment.ms"))["segment.ms"] == "77777777"

    await until(altered, "the broker to know the other's settings")
    outcomes = {outcome.name: outcome for outcome in await create_topics(stack.bootstrap_servers, unborn)}
    assert outcomes[unborn.events.name].result == "updated"
    assert outcomes[unborn.events.name].changed == {"max.message.bytes": ("5000", "1048576")}
    now = await topic_settings(stack, unborn.events.name, "max.message.bytes", "segment.ms")
    assert now == {"max.message.bytes": "1048576", "segment.ms": "77777777"}


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "host.invalid:9092", "nonsense:port"])
async def test_a_kafka_that_is_not_there_is_one_line(servers: str) -> None:
    ran = await botpulse({"KAFKA_BOOTSTRAP_SERVERS": servers}, "topics", "apply")
    assert (ran.status, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in ran.err


async def topic_settings(stack: StackInfo, topic: str, *names: str) -> dict[str, str]:
    async with admin(stack.bootstrap_servers) as client:
        described = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    entries = described[0].resources[0][4]
    return {entry[0]: entry[1] for entry in entries if entry[0] in names}
