"""Topics of one test each."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka import create_topics
from schemas.topics import Topics


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
