"""What must be true before the service starts: a broker that answers, and topics that fit together."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.errors import ConfigurationError
from schemas.kafka.connection import check_visible, client_options, why_refused

from .settings import Settings


async def check_topics(settings: Settings) -> int:
    """Return the partition count of bot.events.

    Raises ConfigurationError for an unreachable broker, a missing topic or topics of different partition counts.
    """
    topics = settings.topics
    events = topics.events.name
    alike = [topics.tier_changes.name, topics.user_aggregates.name, topics.user_ledger.name]
    names = [events, *alike, topics.dead_letters.name, topics.tier_rules.name]
    admin = AIOKafkaAdminClient(**client_options(settings.bootstrap_servers), request_timeout_ms=10_000)
    try:
        await admin.start()
        described = {topic["topic"]: topic for topic in await admin.describe_topics(names)}
    except (KafkaError, OSError) as error:
        if reason := await why_refused(client_options(settings.bootstrap_servers)):
            raise ConfigurationError(reason) from None
        raise ConfigurationError(
            f"KAFKA_BOOTSTRAP_SERVERS: no Kafka broker answers at {settings.bootstrap_servers} "
            f"({type(error).__name__}); start it (for the local stack: botpulse up) or correct the setting"
        ) from None
    finally:
        await admin.close()
    check_visible(described.values())
    counts = {name: len(described[name]["partitions"]) if name in described else 0 for name in names}
    missing = [name for name in names if not counts[name]]
    if missing:
        raise ConfigurationError(
            f"no topic {', '.join(missing)} at {settings.bootstrap_servers}: run botpulse topics apply "
            "(settings KAFKA_BOOTSTRAP_SERVERS, BOTPULSE_TOPIC_PREFIX)"
        )
    for name in alike:
        if counts[name] != counts[events]:
            raise ConfigurationError(
                f"topic {name} has {counts[name]} partitions, {events} has {counts[events]}: they must be alike; "
                "a user's records share one partition number on all of them"
            )
    return counts[events]
