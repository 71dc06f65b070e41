"""Kafka for the commands: connections with one-line errors, and the topics as `schemas.topics` wants them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, TopicAlreadyExistsError, for_code

from schemas.errors import BotpulseError, ConfigurationError
from schemas.kafka.connection import check_visible, client_options, why_refused
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import accept_any_header_name
from schemas.topics import DEFAULT_PARTITIONS, Topic, Topics

REQUEST_MS: Final = 10_000
"""How long the broker may take to answer a request."""
VISIBLE_SECONDS: Final = 30.0
"""How long all brokers may take to learn of a change."""
_TOPIC_SOURCE: Final = 1
"""Of a setting in a description: it was set on the topic itself."""

# An address that nobody answers at is told by our own error, in one line.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


def unreachable(bootstrap_servers: str) -> ConfigurationError:
    """The error of a Kafka that doesn't answer."""
    return ConfigurationError(
        f"KAFKA_BOOTSTRAP_SERVERS: no Kafka answers at {bootstrap_servers}; "
        "start it (for the local stack: botpulse up) or correct the setting"
    )


@asynccontextmanager
async def admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client. Raises ConfigurationError when nobody answers."""
    client = _made(AIOKafkaAdminClient, bootstrap_servers, request_timeout_ms=REQUEST_MS)
    try:
        await _started(client, bootstrap_servers)
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def consumer(bootstrap_servers: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A connected consumer without a group. Raises ConfigurationError when nobody answers."""
    accept_any_header_name()
    client = _made(AIOKafkaConsumer, bootstrap_servers, enable_auto_commit=False, **options)
    try:
        await _started(client, bootstrap_servers)
        yield client
    finally:
        await stop_consumer(client)


@asynccontextmanager
async def producer(bootstrap_servers: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A connected idempotent producer. Raises ConfigurationError when nobody answers."""
    client = _made(AIOKafkaProducer, bootstrap_servers, acks="all", enable_idempotence=True, **options)
    try:
        await _started(client, bootstrap_servers)
        yield client
    finally:
        await client.stop()


def _made(factory: Any, bootstrap_servers: str, **options: Any) -> Any:
    try:
        return factory(**client_options(bootstrap_servers), **options)
    except ValueError:
        raise _unreadable(bootstrap_servers) from None


def _unreadable(bootstrap_servers: str) -> ConfigurationError:
    return ConfigurationError(
        f"KAFKA_BOOTSTRAP_SERVERS: {bootstrap_servers!r} is no list of brokers; it is host:port, several with commas"
    )


async def _started(client: Any, bootstrap_servers: str) -> None:
    try:
        await client.start()
    except (KafkaConnectionError, KafkaTimeoutError, OSError, TimeoutError):
        if reason := await why_refused(client_options(bootstrap_servers)):
            raise ConfigurationError(reason) from None
        raise unreachable(bootstrap_servers) from None
    except ValueError:
        raise _unreadable(bootstrap_servers) from None


async def partition_counts(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    """The partition count of every topic that exists, by name."""
    found = await client.describe_topics(list(names))
    check_visible(found)
    return {topic["topic"]: len(topic["partitions"]) for topic in found if topic["error_code"] == 0}


async def partitions_of(bootstrap_servers: str, topic: Topic) -> int:
    """How many partitions a topic has. Raises ConfigurationError when it doesn't exist."""
    async with admin(bootstrap_servers) as client:
        counts = await partition_counts(client, [topic.name])
    if topic.name not in counts:
        raise missing(topic, bootstrap_servers)
    return counts[topic.name]


def missing(topic: Topic, bootstrap_servers: str) -> ConfigurationError:
    """The error of a topic that doesn't exist."""
    return ConfigurationError(
        f"the topic {topic.name} is missing on {bootstrap_servers}: "
        "run `botpulse topics apply`, or correct BOTPULSE_TOPIC_PREFIX or KAFKA_BOOTSTRAP_SERVERS"
    )


@dataclass(frozen=True)
class Outcome:
    """What became of one topic; `changed` has the old and the new value of every setting that was changed."""

    name: str
    partitions: int
    result: Literal["created", "updated", "unchanged"]
    changed: dict[str, tuple[str | None, str]]


async def create_topics(
    bootstrap_servers: str, topics: Topics, partitions: int | None = None, replication_factor: int = -1
) -> list[Outcome]:
    """Create what is missing of `topics` and bring the settings of the others up to date; idempotent.

    `partitions` is the count of the topics that share one; None takes what exists, else the default.
    A replication factor of -1 is the broker's own default. Raises ConfigurationError, before anything is changed, when
    a topic exists with another partition count: that never changes.
    """
    async with admin(bootstrap_servers) as client:
        counts = await partition_counts(client, [topic.name for topic in topics])
        wanted = _wanted_counts(topics, counts, partitions)
        new = [topic for topic in topics if topic.name not in counts]
        created = await _create(client, new, wanted, replication_factor)
        outcomes = []
        await _until(lambda: _are_there(client, wanted), "the new topics have no leader")
        changes = await _apply_settings(client, [topic for topic in topics if topic.name not in created])
        for topic in topics:
            changed = changes.get(topic.name, {})
            result: Literal["created", "updated", "unchanged"] = "updated" if changed else "unchanged"
            if topic.name in created:
                result = "created"
            outcomes.append(Outcome(topic.name, wanted[topic.name], result, changed))
        return outcomes


def _wanted_counts(topics: Topics, counts: dict[str, int], partitions: int | None) -> dict[str, int]:
    shared = partitions
    if shared is None:
        shared = next((counts[t.name] for t in topics if t.partitions is None and t.name in counts), DEFAULT_PARTITIONS)
    wanted = {topic.name: topic.partitions or shared for topic in topics}
    differing = [f"{name} has {counts[name]}" for name, count in wanted.items() if counts.get(name, count) != count]
    if differing:
        raise ConfigurationError(
            f"a topic's partition count never changes: {', '.join(differing)}, not {shared}. "
            "Leave --partitions out, or copy the log to topics with more: `botpulse topics grow`"
        )
    return wanted


async def _create(
    client: AIOKafkaAdminClient, topics: Sequence[Topic], counts: dict[str, int], replication_factor: int
) -> set[str]:
    """Create topics; returns the names of those that nobody else created in the meantime."""
    if not topics:
        return set()
    request = [NewTopic(topic.name, counts[topic.name], replication_factor, {}, topic.config) for topic in topics]
    response = await client.create_topics(request)
    created = set()
    for name, code, *message in response.topic_errors:
        if code == 0:
            created.add(name)
        elif code != TopicAlreadyExistsError.errno:
            raise _refused(name, code, message[0] if message else None)
    return created


async def _apply_settings(
    client: AIOKafkaAdminClient, topics: Sequence[Topic]
) -> dict[str, dict[str, tuple[str | None, str]]]:
    """Set what differs; returns by topic the old and the new value of what was changed."""
    changes: dict[str, dict[str, tuple[str | None, str]]] = {}
    for topic in topics:
        current, own = await _settings_of(client, topic.name)
        changed = {
            name: (current.get(name), value) for name, value in topic.config.items() if current.get(name) != value
        }
        if not changed:
            continue
        await _set(client, topic.name, own, topic.config)
        changes[topic.name] = changed
    return changes


async def configure(client: AIOKafkaAdminClient, topic: str, config: Mapping[str, str]) -> None:
    """Set these settings of a topic, beside those that it has; returns when they are in force."""
    _, own = await _settings_of(client, topic)
    await _set(client, topic, own, config)


async def _set(client: AIOKafkaAdminClient, topic: str, own: Mapping[str, str], config: Mapping[str, str]) -> None:
    # This request replaces all that was set on the topic: settings of other people's are said again.
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {**own, **config})
    for response in await client.alter_configs([resource]):
        for code, message, _, name in response.resources:
            if code:
                raise _refused(name, code, message)
    await _until(partial(_is_set, client, topic, config), f"the settings of {topic} don't take effect")


async def _are_there(client: AIOKafkaAdminClient, counts: dict[str, int]) -> bool:
    found = await client.describe_topics(list(counts))
    leaders = [partition["leader"] for topic in found for partition in topic["partitions"]]
    return (
        all(topic["error_code"] == 0 for topic in found) and len(leaders) == sum(counts.values()) and min(leaders) >= 0
    )


async def _is_set(client: AIOKafkaAdminClient, topic: str, config: Mapping[str, str]) -> bool:
    current, _ = await _settings_of(client, topic)
    return all(current.get(name) == value for name, value in config.items())


async def _until(done: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Brokers learn what the controller has decided a moment later; what comes next may rely on it."""
    deadline = time.monotonic() + VISIBLE_SECONDS
    while not await done():
        if time.monotonic() > deadline:
            raise BotpulseError(f"Kafka took the change, but after {VISIBLE_SECONDS:.0f} s {otherwise}")
        await asyncio.sleep(0.02)


async def _settings_of(client: AIOKafkaAdminClient, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """All settings in force for a topic, and those of them that were set on the topic itself."""
    current: dict[str, str] = {}
    own: dict[str, str] = {}
    for response in await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)]):
        for code, message, _, resource, entries in response.resources:
            if code:
                raise _refused(resource, code, message)
            for setting, value, _read_only, source, *_ in entries:
                current[setting] = value
                if source == _TOPIC_SOURCE:
                    own[setting] = value
    return current, own


def _refused(topic: str, code: int, message: str | None) -> ConfigurationError:
    error: type[KafkaError] = for_code(code)
    return ConfigurationError(f"Kafka refused the topic {topic}: {message or error.description or error.__name__}")
