"""A new version of the tier rules, applied to everybody at once.

`botpulse tiers apply` writes the version to the topic `bot.tier-rules`. Every lane then decides the tier of all its
users anew, between two batches; a user met first by an event is decided by that event instead. After a restart the
request is read before any batch, so a pass that was cut off is repeated on the same state: the same tier changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

import aiokafka
from aiokafka import TopicPartition

from schemas.kafka.connection import client_options
from schemas.kafka.consumer_stop import stop_consumer
from schemas.tiers import CURRENT_RULES
from schemas.topics import Topics

from .batch import Cause, Outcome, tier_change
from .fold import UserFold
from .state import PartitionState

SOURCE = "botpulse:/rules"


class RulesRequest(NamedTuple):
    """Measure everybody by this version; `broker_ms` is the request's broker time."""

    version: int
    broker_ms: int


def decide_anew(keys: Iterable[bytes], request: RulesRequest, state: PartitionState) -> Outcome:
    """Decide the tier of these users by the current rules; the state's changes hold all of them afterwards."""
    outcome = Outcome()
    cause = Cause(SOURCE, str(request.version), request.broker_ms)
    for key in keys:
        subject = key.decode()
        fold = UserFold(subject, state.user(key), state)
        decision = fold.decide()
        if decision is not None:
            outcome.tier_changes.append(tier_change(subject, cause, decision, request.version))
            outcome.moves[decision.previous, decision.current] += 1
    return outcome


class RulesWatcher:
    """Follows the topic of requests; `latest` is the newest request for the version that this code has."""

    def __init__(self, bootstrap_servers: str, topics: Topics, requested: Callable[[RulesRequest], None]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._place = TopicPartition(topics.tier_rules.name, 0)
        self._requested = requested
        self._consumer: aiokafka.AIOKafkaConsumer | None = None
        self.latest: RulesRequest | None = None

    async def start(self) -> None:
        """Read what was requested so far."""
        self._consumer = consumer = aiokafka.AIOKafkaConsumer(
            **client_options(self._bootstrap_servers), enable_auto_commit=False
        )
        await consumer.start()
        consumer.assign([self._place])
        await consumer.seek_to_beginning(self._place)
        end = (await consumer.end_offsets([self._place]))[self._place]
        while await consumer.position(self._place) < end:
            self._take(await consumer.getmany(timeout_ms=100))

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        assert self._consumer is not None
        while True:
            self._take(await self._consumer.getmany(timeout_ms=1000))

    async def stop(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    def _take(self, batches: dict[TopicPartition, list[aiokafka.ConsumerRecord]]) -> None:
        for records in batches.values():
            for record in records:
                version = json.loads(record.value)["version"]
                # Another version is meant for workers with other code: those of a rolling update, before or after us.
                if version == CURRENT_RULES.version:
                    self.latest = RulesRequest(version, record.timestamp)
                    self._requested(self.latest)
