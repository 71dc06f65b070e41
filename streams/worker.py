"""The composition root of the stream service: settings in, a Faust app with its lanes out."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Callable
from typing import Any

import faust
import structlog
from faust.types import TP, Message

from schemas.codec import Decoder
from schemas.errors import ServiceStopped
from schemas.process.tracing import Traces
from schemas.topics import METADATA_MAX_AGE_MS, Topics

from .lane import Lane
from .liveness import Liveness
from .metrics import Metrics
from .restore import Restorer
from .rules import RulesRequest, RulesWatcher
from .settings import Settings
from .transport import BatchConsumer, BatchProducer, BatchSchema, BatchTransport

COMMIT_SECONDS = 0.25
LOOK_SECONDS = 0.5
"""Pause between two looks at the lag."""
LOOKS_A_SIZE = 20
"""The state's size is measured at every so many looks: it takes some milliseconds for a hundred thousand users."""
MAX_BATCH_RECORDS = 50_000
MAX_FETCH_BYTES = 4 * 1024 * 1024
"""Of a partition at once. The larger a batch, the more of a user's events share one decoding and one record of the
changelog; behind the log's end batches are as small as what has just arrived."""

GC_THRESHOLDS = (1_000_000, 50, 100)
"""What is fetched and folded is large, without cycles, and freed by its reference counts. The first threshold is beyond
what is in flight: below it the collector walks that again and again for nothing, an eighth of all time spent."""
GC_SECONDS = 60.0
"""So often the few cycles that the client libraries leave behind are collected."""

log = structlog.get_logger("streams")


class _App(faust.App):
    def _create_directories(self) -> None:
        """Faust makes a folder for its tables' files in the working directory, which a service may not write to. There
        are no such tables here: what the worker knows is in memory, and durable in Kafka."""


class Worker:
    """One process of the stream service.

    `failed` is called, once, with the first error of a lane or of the liveness check; the process must end then
    without acknowledging anything more.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        instance_id: str,
        partition_count: int,
        metrics: Metrics,
        failed: Callable[[BaseException], None],
        traces: Traces | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._failed = failed
        self._traces = traces
        self._topics: Topics = settings.topics
        self._decoder = Decoder(partition_count)
        self._liveness = Liveness(settings.session_timeout_seconds)
        self._lanes: dict[int, Lane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._side_tasks: list[asyncio.Task[None]] = []
        self.assigned = False
        """Whether the group has said which partitions are this worker's (it may be none)."""
        self._rules = RulesWatcher(settings.bootstrap_servers, self._topics, self._on_rules_request)
        self.app = self._build_app(instance_id)

    def _build_app(self, instance_id: str) -> faust.App:
        session = self._settings.session_timeout_seconds
        app = _App(
            self._topics.streams_group,
            broker=[f"kafka://{server.strip()}" for server in self._settings.bootstrap_servers.split(",")],
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            broker_commit_interval=COMMIT_SECONDS,
            broker_session_timeout=session,
            broker_heartbeat_interval=session / 5,
            broker_request_timeout=max(40.0, session),
            broker_max_poll_records=MAX_BATCH_RECORDS,
            broker_max_poll_interval=300.0,
            consumer_max_fetch_size=MAX_FETCH_BYTES,
            consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
            consumer_group_instance_id=instance_id,
            producer_acks=-1,
            stream_wait_empty=True,
        )
        app.transport = app.producer_transport = BatchTransport(app.conf.broker, app)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        events = app.topic(self._topics.events.name, schema=BatchSchema())
        app.agent(events, name="fold")(self._agent)
        return app

    async def start(self) -> None:
        """Join the group and begin; returns when the first assignment is there."""
        await self._rules.start()
        self._consumer.note_of = self._note_of
        self._consumer.on_commit = self._metrics.committed
        side = (self._liveness.beat, self._rules.run, self._observe, _collect_garbage)
        self._side_tasks = [self._watch(asyncio.ensure_future(run())) for run in side]
        await self.app.start()

    async def stop(self) -> None:
        """Finish the batches in hand, commit, leave."""
        await self.app.stop()
        for partition in list(self._lanes):
            await self._stop_lane(partition)
        for task in self._side_tasks:
            task.cancel()
        await asyncio.wait(self._side_tasks)
        await self._rules.stop()

    async def _observe(self) -> None:
        """Run for as long as the worker does: how far behind the partitions are, and what their states hold."""
        for turn in itertools.count():
            for partition, lane in list(self._lanes.items()):
                progress = self._consumer.progress(TP(self._topics.events.name, partition))
                if progress is not None:
                    self._metrics.lag(partition, *progress)
                if turn % LOOKS_A_SIZE == 0:
                    self._metrics.state(partition, len(lane.state), lane.state.size)
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def silent_seconds(self) -> float:
        """How long ago the event loop last came round."""
        return self._liveness.silent_seconds

    @property
    def unanswered_seconds(self) -> float:
        """How long Kafka has answered neither a fetch nor a commit."""
        return self._consumer.silent_seconds()

    @property
    def restoring(self) -> list[int]:
        """Partitions of this worker whose state is not read back yet."""
        return sorted(partition for partition, lane in self._lanes.items() if not lane.ready)

    async def _agent(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            if self._consumer.take(message):
                self._running_lane(message.partition).submit(message)

    @property
    def _consumer(self) -> BatchConsumer:
        consumer = self.app.consumer
        assert isinstance(consumer, BatchConsumer)
        return consumer

    # -- rebalancing: Faust revokes everything, waits until the batches in hand are acked, and assigns anew

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        self.assigned = False
        for partition in list(self._lanes):
            await self._stop_lane(partition)

    async def _on_assigned(self, _: Any, /, *arguments: Any, **__: Any) -> None:
        assigned: set[TP] = arguments[0]
        partitions = {tp.partition for tp in assigned if tp.topic == self._topics.events.name}
        for partition in self._lanes.keys() - partitions:
            await self._stop_lane(partition)
            del self._lanes[partition]
            self._metrics.released(partition)
        for partition in sorted(partitions):
            self._running_lane(partition)
        self.assigned = True
        self._metrics.rebalanced()
        log.info("assigned", topic=self._topics.events.name, partitions=sorted(partitions))

    def _running_lane(self, partition: int) -> Lane:
        """The partition's lane, at work. One kept from before a rebalance first reads what was written since: the
        partition may have been another worker's in between."""
        lane = self._lanes.get(partition) or self._open_lane(partition)
        if partition not in self._tasks:
            self._tasks[partition] = self._watch(asyncio.ensure_future(lane.run(self._rules.latest)))
        return lane

    def _on_rules_request(self, request: RulesRequest) -> None:
        for lane in self._lanes.values():
            lane.submit(request)

    async def _stop_lane(self, partition: int) -> None:
        task = self._tasks.pop(partition, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if not self._lanes[partition].idle:
            # Interrupted within a batch: what it holds in memory is ahead of what is durable.
            del self._lanes[partition]
            self._metrics.released(partition)

    def _open_lane(self, partition: int) -> Lane:
        producer = self.app.producer
        assert isinstance(producer, BatchProducer)
        lane = self._lanes[partition] = Lane(
            partition,
            topics=self._topics,
            decoder=self._decoder,
            producer=producer,
            restorer=Restorer(self._settings.bootstrap_servers, self._topics, partition, self._decoder),
            liveness=self._liveness,
            metrics=self._metrics,
            acknowledge=self._acknowledge,
            traces=self._traces,
        )
        return lane

    def _note_of(self, place: TP) -> str:
        lane = self._lanes.get(place.partition)
        return "" if lane is None else lane.note.encode()

    def _acknowledge(self, message: Message) -> None:
        self._consumer.ack(message)

    def _watch(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        return watched(task, self._failed)


def watched(task: asyncio.Task[None], failed: Callable[[BaseException], None]) -> asyncio.Task[None]:
    """Let `failed` know when the task ends by an error, or by a cancellation that nobody has asked the task for: one
    that came out of what it was waiting for, after which a partition would stand still and nobody notice."""

    def done(finished: asyncio.Task[None]) -> None:
        if finished.cancelled():
            if not finished.cancelling():
                failed(ServiceStopped("a part of the worker was cancelled from within; a restart carries on"))
        elif (error := finished.exception()) is not None:
            failed(error)

    task.add_done_callback(done)
    return task


async def _collect_garbage() -> None:
    while True:
        await asyncio.sleep(GC_SECONDS)
        gc.collect()
