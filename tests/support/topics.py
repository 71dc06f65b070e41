"""Topics of one test each."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka import create_topics
from schemas.topics import Topic, Topics


async def create(bootstrap_servers: str, topics: Topics, partitions: int) -> None:
    """Create all topics of the prefix."""
    await create_topics(bootstrap_servers, topics, partitions)


async def delete(bootstrap_servers: str, topics: Topics) -> None:
    """Delete all topics whose names begin with the prefix, changelogs of the services included."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(topics.prefix)]
        await admin.delete_topics(names)
    finally:
        await admin.close()


async def recreate(bootstrap_servers: str, topics: Topics, topic: Topic) -> None:
    """Delete one topic and create it again, empty."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        partitions = len((await admin.describe_topics([topic.name]))[0]["partitions"])
        await admin.delete_topics([topic.name])
        while topic.name in await admin.list_topics():  # noqa: ASYNC110  # a broker sets no event
            await asyncio.sleep(0.05)
    finally:
        await admin.close()
    await create_topics(bootstrap_servers, topics, partitions)
