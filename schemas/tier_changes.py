"""What the bot is told: every change of a user's tier, at least once."""

from __future__ import annotations

import logging
import os
from types import TracebackType
from typing import Any, Literal, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from .codec import decode_tier_change
from .errors import ConfigurationError, InvalidEvent
from .events import TierChanged
from .kafka.connection import KafkaSecurity
from .kafka.consumer_stop import stop_consumer
from .kafka.log_reading import accept_any_header_name
from .topics import Topics

_log = logging.getLogger("botpulse.tiers")


class TierChanges:
    """Tier changes of all users, as an async iterator; of one user in their order.

    Asking for the next change says that the last one is done: its position is committed then, for this `group`. After a
    crash the last one comes again, with the same `id`. Instances of one group share the users among them.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        group: str,
        topic: str = "bot.tier-changes",
        since: Literal["now", "beginning"] = "now",
        **kafka: Any,
    ) -> None:
        """`since` says where a group begins that was never here before; `kafka` are options of AIOKafkaConsumer."""
        self.skipped = 0
        """Records that are no tier changes: passed over, and logged with their place."""
        self._topic = topic
        self._since = since
        self._bootstrap_servers = bootstrap_servers
        self._options = {"session_timeout_ms": 10_000, **kafka}
        self._group = group
        self._consumer: AIOKafkaConsumer | None = None
        self._new: set[TopicPartition] = set()
        self._last: Any = None

    @classmethod
    def from_environment(cls, *, group: str, **options: Any) -> Self:
        """From KAFKA_BOOTSTRAP_SERVERS, BOTPULSE_TOPIC_PREFIX and the settings of `kafka.connection`.

        Raises ConfigurationError when the first is missing or one of the others is wrong.
        """
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if not servers:
            raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS is not set: host:port of one or more brokers")
        topic = Topics.from_environment().tier_changes.name
        options = {**KafkaSecurity.from_environment().options(), **options}
        return cls(servers, group=group, topic=topic, **options)

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaError when Kafka is away."""
        accept_any_header_name()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest" if self._since == "beginning" else "latest",
            **self._options,
        )
        consumer.subscribe([self._topic], listener=_Assigned(self._new))
        try:
            await consumer.start()
        except BaseException:
            await stop_consumer(consumer)
            raise
        self._consumer = consumer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._consumer is not None:
            await stop_consumer(self._consumer)
            self._consumer = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TierChanged:
        """Commit the last change, then wait for the next one."""
        assert self._consumer is not None, "use it inside `async with`"
        if self._last is not None:
            await self._commit(self._last)
            self._last = None
        while True:
            record = await self._next(self._consumer)
            try:
                change = decode_tier_change(record)
            except InvalidEvent as error:
                self.skipped += 1
                _log.error("%s/%d/%d is no tier change: %s", record.topic, record.partition, record.offset, error)
                await self._commit(record)
                continue
            self._last = record
            return change

    async def _next(self, consumer: AIOKafkaConsumer) -> Any:
        while True:
            await self._settle(consumer)
            for records in (await consumer.getmany(timeout_ms=500, max_records=1)).values():
                return records[0]

    async def _settle(self, consumer: AIOKafkaConsumer) -> None:
        """Commit where a group begins: else what comes between its first start and its first change could be missed."""
        while self._new:
            place = self._new.pop()
            try:
                if await consumer.committed(place) is None:
                    await consumer.commit({place: await consumer.position(place)})
            except (IllegalStateError, CommitFailedError):
                continue  # taken away again meanwhile

    async def _commit(self, record: Any) -> None:
        assert self._consumer is not None
        try:
            await self._consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        except (CommitFailedError, IllegalStateError):
            _log.info("a change is handed to another instance of the group, and may come there again")
        except KafkaError as error:
            _log.warning("a change may come again: %s", error)


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, new: set[TopicPartition]) -> None:
        self._new = new

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._new |= assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._new -= revoked
