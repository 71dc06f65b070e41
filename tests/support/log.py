"""Writing to and reading from the topics of a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas.codec import CONTENT_TYPE_HEADER
from schemas.kafka.log_reading import accept_any_header_name
from schemas.topics import Topics


async def publish(bootstrap_servers: str, topics: Topics, events: Iterable[dict[str, Any]], **options: Any) -> None:
    """Publish events as the bot does; returns when all are acknowledged."""
    options = {"linger_ms": 5, **options}
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", **options) as producer:
        sent = [
            await producer.send(
                topics.events.name, json.dumps(e).encode(), key=e["subject"].encode(), headers=[CONTENT_TYPE_HEADER]
            )
            for e in events
        ]
        for future in sent:
            await future


async def ends(bootstrap_servers: str, topic: str) -> dict[TopicPartition, int]:
    """The end offset of every partition."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
        partitions = [
            TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or await _found(consumer, topic)
        ]
        found: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return found


async def _found(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.set_topics([topic])
    return set(consumer.partitions_for_topic(topic) or ())


async def read_all(bootstrap_servers: str, topic: str) -> list[Any]:
    """Every record of a topic up to its present end."""
    accept_any_header_name()
    upto = await ends(bootstrap_servers, topic)
    records: list[Any] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, fetch_max_wait_ms=50) as consumer:
        consumer.assign(list(upto))
        await consumer.seek_to_beginning(*upto)
        while any([await consumer.position(tp) < end for tp, end in upto.items()]):
            for batch in (await consumer.getmany(timeout_ms=100, max_records=10_000)).values():
                records += batch
    return records


async def committed(bootstrap_servers: str, group: str) -> dict[TopicPartition, int]:
    """The group's committed offsets."""
    return {tp: meta.offset for tp, meta in (await _committed(bootstrap_servers, group)).items()}


async def notes(bootstrap_servers: str, group: str) -> dict[TopicPartition, str]:
    """The text beside each committed offset."""
    return {tp: meta.metadata for tp, meta in (await _committed(bootstrap_servers, group)).items()}


async def _committed(bootstrap_servers: str, group: str) -> dict[TopicPartition, Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        return dict(await admin.list_consumer_group_offsets(group))
    except GroupCoordinatorNotAvailableError:
        return {}  # the broker makes its topic of offsets when the first group asks for it
    finally:
        await admin.close()


async def folded(bootstrap_servers: str, topics: Topics) -> bool:
    """Whether streams has committed everything that is on bot.events now."""
    upto = await ends(bootstrap_servers, topics.events.name)
    done = await committed(bootstrap_servers, topics.streams_group)
    return all(done.get(tp, 0) >= end for tp, end in upto.items())


async def aggregates(bootstrap_servers: str, topics: Topics) -> dict[str, dict[str, Any]]:
    """Every user's aggregate: of the records of a user the one that has applied most."""
    newest: dict[str, dict[str, Any]] = {}
    for record in await read_all(bootstrap_servers, topics.user_aggregates.name):
        value = json.loads(record.value)
        known = newest.get(record.key.decode())
        if known is None or value["applied"] >= known["applied"]:
            newest[record.key.decode()] = value
    return newest


def applied(record: Any) -> int:
    """The offset that an aggregate has applied."""
    return int(json.loads(record.value)["applied"])


def header(record: Any, name: str) -> bytes | None:
    """The last header of a name."""
    values: Sequence[bytes] = [value for key, value in record.headers if key == name]
    return values[-1] if values else None


async def configure(bootstrap_servers: str, topic: str, config: dict[str, str]) -> None:
    """Give a topic these settings and no others of its own."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    finally:
        await admin.close()
