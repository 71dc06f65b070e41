"""What must be true before the service starts: a migrated database, a broker that answers, topics that fit together."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from projections.database import connect, is_away
from projections.migrations import check_migrated
from projections.settings import Settings
from schemas.errors import ConfigurationError, ServiceStopped
from schemas.kafka.connection import check_visible, client_options, why_refused

PATIENCE_SECONDS: Final = 5.0
"""How long a start waits for a Postgres or a Kafka that is just starting too."""
PAUSE_SECONDS: Final = 0.5
REQUEST_MS: Final = 5000


async def open_database(settings: Settings) -> asyncpg.Connection:
    """Return a connection for the runner.

    Raises ConfigurationError where the database can't be used as it is, ServiceStopped where it answers and then ends
    its connections for longer than a restart takes: nothing has to be set right for that, only tried again.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        connection = await connect(
            settings.database_url,
            settings.database_setting,
            application_name="botpulse-projections",
            lock_timeout_ms=int(settings.lock_timeout_seconds * 1000),
            idle_in_transaction_ms=int(settings.idle_in_transaction_seconds * 1000),
            patience_seconds=PATIENCE_SECONDS,
        )
        try:
            await check_migrated(connection)
        except Exception as error:
            connection.terminate()
            if not is_away(error, connection):
                raise
            if time.monotonic() >= deadline:
                raise ServiceStopped(
                    f"{settings.database_setting}: Postgres ended the connection ({type(error).__name__}) again and "
                    "again while the service started; a restart tries once more"
                ) from None
        else:
            return connection
        await asyncio.sleep(PAUSE_SECONDS)


async def count_partitions(settings: Settings) -> dict[str, int]:
    """Return the partition counts of the topics that are read.

    Raises ConfigurationError for an unreachable broker or a missing topic, ServiceStopped for a broker that answers
    and then goes away for longer than a restart takes.
    """
    topics = settings.topics
    read = [topics.events.name, topics.tier_changes.name, topics.dead_letters.name]
    wanted = [*read, topics.audit_heads.name]
    described = await _describe(settings.bootstrap_servers, wanted)
    check_visible(described.values())
    counts = {name: len(described[name]["partitions"]) if name in described else 0 for name in wanted}
    missing = [name for name in wanted if not counts[name]]
    if missing:
        raise ConfigurationError(
            f"KAFKA_BOOTSTRAP_SERVERS: Kafka at {settings.bootstrap_servers} has no topic {', '.join(missing)}; run "
            "`botpulse topics apply`, or correct KAFKA_BOOTSTRAP_SERVERS or BOTPULSE_TOPIC_PREFIX"
        )
    return {name: counts[name] for name in read}


async def _describe(bootstrap_servers: str, names: list[str]) -> dict[str, Any]:
    """Return what the broker says of the topics that it has."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        admin = await _admin(bootstrap_servers)
        try:
            return {topic["topic"]: topic for topic in await admin.describe_topics(names)}
        except (KafkaError, OSError) as error:
            if time.monotonic() >= deadline:
                raise ServiceStopped(
                    f"KAFKA_BOOTSTRAP_SERVERS: Kafka at {bootstrap_servers} took the connection, and ended it before "
                    f"saying which topics it has ({type(error).__name__}); a restart tries once more"
                ) from None
        finally:
            await admin.close()
        await asyncio.sleep(PAUSE_SECONDS)


async def _admin(bootstrap_servers: str) -> AIOKafkaAdminClient:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            admin = AIOKafkaAdminClient(**client_options(bootstrap_servers), request_timeout_ms=REQUEST_MS)
        except (KafkaError, ValueError) as error:
            raise ConfigurationError(f"KAFKA_BOOTSTRAP_SERVERS: {bootstrap_servers!r} is no address: {error}") from None
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            await admin.close()
            if reason := await why_refused(client_options(bootstrap_servers)):
                raise ConfigurationError(reason) from None
            if time.monotonic() >= deadline:
                raise ConfigurationError(
                    f"KAFKA_BOOTSTRAP_SERVERS: no Kafka broker answers at {bootstrap_servers} "
                    f"({type(error).__name__}); start it (for the local stack: botpulse up) or correct the setting"
                ) from None
        except ValueError as error:
            await admin.close()
            raise ConfigurationError(f"KAFKA_BOOTSTRAP_SERVERS: {bootstrap_servers!r} is no address: {error}") from None
        else:
            return admin
        await asyncio.sleep(PAUSE_SECONDS)
