"""This worker's place in the consumer group: which partitions are its own. It reads no records.

Who owns a partition and where it is read from are kept apart: the group only says who; where comes from the checkpoints
(see `log_reader`). So a rebalance can never hand the runner a record from another position than its checkpoint's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.structs import TopicPartition

from projections.checkpoints import Place
from schemas.kafka.connection import client_options
from schemas.kafka.consumer_stop import stop_consumer
from schemas.topics import METADATA_MAX_AGE_MS

REBALANCE_SECONDS: Final = 30.0
"""How long the group waits for a member that is finishing its batch."""
REVOKE_SECONDS: Final = 20.0
"""How long a rebalance waits for the batches in hand; past it the fence protects the rows."""
HINT_SECONDS: Final = 0.5
"""Pause between two commits of offsets to Kafka."""
NEVER_MS: Final = 2**31 - 1

log = structlog.get_logger(__name__)


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member of the group. `generation` grows with every change of `partitions`."""

    def __init__(
        self,
        bootstrap_servers: str,
        group: str,
        topics: Sequence[str],
        *,
        instance_id: str | None,
        session_timeout_seconds: float,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Calls `changed` whenever the group has given this member its partitions."""
        self.generation = 0
        self.partitions: frozenset[Place] = frozenset()
        self.settled = False
        """Whether the group has said what this member's partitions are; not while it rebalances."""
        self.changed = asyncio.Event()
        """Set at every change; whoever waits for changes clears it."""
        self._topics = list(topics)
        self._on_assigned = changed
        self._batches = 0
        self._idle = asyncio.Event()
        """No batch is being written."""
        self._idle.set()
        self._hints: dict[TopicPartition, int] = {}
        self._hinted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._consumer = AIOKafkaConsumer(
            **client_options(bootstrap_servers),
            group_id=group,
            group_instance_id=instance_id,
            session_timeout_ms=int(session_timeout_seconds * 1000),
            heartbeat_interval_ms=int(session_timeout_seconds * 1000 / 4),
            rebalance_timeout_ms=int(REBALANCE_SECONDS * 1000),
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            # A worker that waits for Postgres keeps its partitions; liveness is the supervisor's business.
            max_poll_interval_ms=NEVER_MS,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            # What is fetched before the partitions are paused is thrown away.
            max_partition_fetch_bytes=1,
            fetch_max_bytes=1,
        )

    async def start(self) -> None:
        """Join the group. Raises KafkaError when no broker answers."""
        await self._consumer.start()
        self._consumer.subscribe(topics=self._topics, listener=self)
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._send_hints())]

    async def stop(self) -> None:
        """Commit the last hint and leave. With an instance id the broker keeps the place until the session ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._hints:
            await self._commit_hints(seconds=2.0)
        await stop_consumer(self._consumer)

    def check(self) -> None:
        """Raise what has ended this member's work in the background, KafkaError and the like."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    @contextlib.asynccontextmanager
    async def holding(self, generation: int) -> AsyncIterator[bool]:
        """Hold the partitions of `generation` for one batch: a rebalance waits for its end.

        Yields False if they are revoked already: the batch must be dropped.
        """
        self._batches += 1
        self._idle.clear()
        try:
            yield generation == self.generation
        finally:
            self._batches -= 1
            if not self._batches:
                self._idle.set()

    def hint(self, offsets: Mapping[Place, int]) -> None:
        """Let Kafka's committed offsets follow, in the background: for lag tools only, nobody starts from them."""
        for place, offset in offsets.items():
            self._hints[TopicPartition(*place)] = offset
        self._hinted.set()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Part of aiokafka's listener: runs before the group goes on without these partitions."""
        self._change(frozenset(), settled=False)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REVOKE_SECONDS):
                await self._idle.wait()
        if self._hints:
            await self._commit_hints(seconds=2.0)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Part of aiokafka's listener: runs when this member has been given partitions."""
        self._consumer.pause(*assigned)
        self._change(frozenset(Place(tp.topic, tp.partition) for tp in assigned), settled=True)
        self._on_assigned()

    def _change(self, partitions: frozenset[Place], *, settled: bool) -> None:
        self.partitions, self.settled = partitions, settled
        self.generation += 1
        self.changed.set()

    async def _watch(self) -> None:
        """Notice errors of the coordination; every partition is paused, so nothing is ever returned that counts."""
        while True:
            await self._consumer.getmany(timeout_ms=1000)

    async def _send_hints(self) -> None:
        while True:
            await self._hinted.wait()
            self._hinted.clear()
            await self._commit_hints(seconds=5.0)
            await asyncio.sleep(HINT_SECONDS)

    async def _commit_hints(self, seconds: float) -> None:
        offsets, self._hints = self._hints, {}
        assigned = self._consumer.assignment()
        commit = asyncio.ensure_future(
            self._consumer.commit({tp: offset for tp, offset in offsets.items() if tp in assigned})
        )
        commit.add_done_callback(_note)
        # Not cancelled when the time is over: the client's own task would live on, with an error that nobody takes.
        await asyncio.wait([commit], timeout=seconds)


def _note(commit: asyncio.Future[None]) -> None:
    if not commit.cancelled() and (error := commit.exception()) is not None:
        log.info("Kafka's committed offsets were not updated; nothing depends on them", error=repr(error))
