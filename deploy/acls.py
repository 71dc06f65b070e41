"""What each principal may do on Kafka, and no more: as data, and put in force on a broker that has an authorizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ClusterAuthorizationFailedError, SecurityDisabled, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from schemas.errors import ConfigurationError
from schemas.topics import Topic, Topics


class Role(StrEnum):
    """Who connects. The exporter needs Postgres alone."""

    BOT = "bot"
    STREAMS = "streams"
    PROJECTIONS = "projections"
    OPERATOR = "operator"
    """A person or a job with the other commands of `botpulse`."""
    INSTALLER = "installer"
    """`botpulse topics`."""


class Resource(IntEnum):
    """Kafka's numbers of what is granted on."""

    TOPIC = 2
    GROUP = 3


class Operation(IntEnum):
    """Kafka's numbers of what is granted. READ and WRITE include DESCRIBE."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11


class Grant(NamedTuple):
    """One line of the table: an operation on a topic or group of that very name."""

    role: Role
    operation: Operation
    resource: Resource
    name: str


_LITERAL: Final = 3
_ALLOW: Final = 3


def grants(topics: Topics, bot_groups: Sequence[str] = ()) -> Iterator[Grant]:
    """Every grant of an installation; `bot_groups` are the groups in which the bot reads its tier changes."""
    t = topics
    yield from _on_topics(Role.BOT, Operation.WRITE, t.events)
    yield from _on_topics(Role.BOT, Operation.READ, t.tier_changes)
    yield from (Grant(Role.BOT, Operation.READ, Resource.GROUP, group) for group in bot_groups)

    yield from _on_topics(Role.STREAMS, Operation.READ, t.events, t.tier_rules, t.user_aggregates, t.user_ledger)
    yield from _on_topics(
        Role.STREAMS, Operation.WRITE, t.user_aggregates, t.user_ledger, t.tier_changes, t.dead_letters
    )
    yield Grant(Role.STREAMS, Operation.READ, Resource.GROUP, t.streams_group)

    yield from _on_topics(Role.PROJECTIONS, Operation.READ, t.events, t.tier_changes, t.dead_letters)
    yield from _on_topics(Role.PROJECTIONS, Operation.WRITE, t.dead_letters, t.audit_heads)
    yield Grant(Role.PROJECTIONS, Operation.READ, Resource.GROUP, t.projections_group)

    yield from _on_topics(Role.OPERATOR, Operation.READ, *t)
    # publish, simulate, redrive, tiers apply; and what `rebuild --streams` mends.
    yield from _on_topics(
        Role.OPERATOR, Operation.WRITE, t.events, t.tier_rules, t.user_aggregates, t.user_ledger, t.tier_changes
    )
    yield Grant(Role.OPERATOR, Operation.READ, Resource.GROUP, t.streams_group)
    yield Grant(Role.OPERATOR, Operation.DESCRIBE, Resource.GROUP, t.projections_group)

    for operation in (Operation.CREATE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS):
        yield from _on_topics(Role.INSTALLER, operation, *t)


def _on_topics(role: Role, operation: Operation, *topics: Topic) -> Iterator[Grant]:
    return (Grant(role, operation, Resource.TOPIC, topic.name) for topic in topics)


async def put_in_force(client: AIOKafkaAdminClient, wanted: Sequence[Grant], principals: Mapping[Role, str]) -> None:
    """Grant all of these from any host; what is granted already stays as it is.

    Raises ConfigurationError when the broker checks nobody's rights, or this user may not grant any.
    """
    for grant in wanted:
        request = CreateAclsRequest(
            grant.resource, grant.name, _LITERAL, principals[grant.role], "*", grant.operation, _ALLOW
        )
        response = await client._send_request(request)
        for code, message in response.creation_responses:
            if code:
                raise _refused(code, message)


def _refused(code: int, message: str | None) -> ConfigurationError:
    error = for_code(code)
    if error is SecurityDisabled:
        return ConfigurationError(
            "this Kafka checks nobody's rights: give its brokers an authorizer.class.name first "
            "(org.apache.kafka.metadata.authorizer.StandardAuthorizer)"
        )
    if error is ClusterAuthorizationFailedError:
        return ConfigurationError(
            "the user of KAFKA_SASL_USERNAME may grant nothing: connect as one of the broker's super.users"
        )
    return ConfigurationError(f"Kafka refused to grant: {message or error.description or error.__name__}")
