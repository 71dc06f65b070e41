"""A lane: one partition's batches, one after the other, each made durable before the next begins.

The order inside a batch, and why: decode and fold → letters, tier changes and ledger entries sent and acknowledged →
aggregates sent and acknowledged → local state → ack. An aggregate names the position it has applied, so whatever is
not durable before it would be skipped for ever; whatever is durable before it and repeated after a crash is the same
record again: letters and tier changes carry the same identity, entries are read as the aggregate knows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from faust.types import Message

from schemas.codec import Decoder
from schemas.topics import Topics

from . import crash_points
from .batch import Outcome, fold_batch
from .liveness import Liveness
from .metrics import Metrics
from .restore import Restorer
from .state import PartitionState
from .transport import BatchProducer, OutgoingRecord

DEAD_LETTER_PARTITION = 0


class Lane:
    """Owns one partition's state while this worker owns the partition."""

    def __init__(
        self,
        partition: int,
        *,
        topics: Topics,
        decoder: Decoder,
        producer: BatchProducer,
        restorer: Restorer,
        liveness: Liveness,
        metrics: Metrics,
        acknowledge: Callable[[Message], None],
    ) -> None:
        self.partition = partition
        self.state = PartitionState()
        self.ready = False
        self._busy = False
        self._topics = topics
        self._decoder = decoder
        self._producer = producer
        self._restorer = restorer
        self._liveness = liveness
        self._metrics = metrics
        self._acknowledge = acknowledge
        self._batches: asyncio.Queue[Message] = asyncio.Queue()

    def submit(self, message: Message) -> None:
        """Queue a batch; the consumer bounds how many there can be."""
        self._batches.put_nowait(message)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not self._busy and self._batches.empty()

    async def run(self) -> None:
        """Bring the state up to date, then process batches until cancelled."""
        await self._restore()
        while True:
            message = await self._batches.get()
            self._busy = True
            await self._process(message)
            self._busy = False

    async def _restore(self) -> None:
        restored = await self._restorer.restore(self.state)
        self._metrics.restored(self.partition, restored)
        users, entries = self.state.outdated()
        await self._write(self._topics.user_ledger.name, entries)
        await self._write(self._topics.user_aggregates.name, users)
        self.ready = True

    async def _process(self, message: Message) -> None:
        records = message.value
        assert isinstance(records, list)
        with self._metrics.step("fold"):
            outcome = fold_batch(records, self._decoder, self.state)
            users, entries = self.state.changes()
        crash_points.reached("folded")
        with self._metrics.step("send"):
            await self._send(outcome, entries)
        crash_points.reached("sent")
        with self._metrics.step("changelog"):
            await self._write(self._topics.user_aggregates.name, users)
        crash_points.reached("changelog")
        self.state.stored(users, entries)
        crash_points.reached("stored")
        self._acknowledge(message)
        crash_points.reached("acked")
        self._metrics.batch(self.partition, records, outcome)

    async def _send(self, outcome: Outcome, entries: list[tuple[bytes, bytes]]) -> None:
        self._liveness.check()
        await asyncio.gather(
            self._write(self._topics.user_ledger.name, entries),
            self._producer.write(self._topics.tier_changes.name, self.partition, outcome.tier_changes),
            self._producer.write(self._topics.dead_letters.name, DEAD_LETTER_PARTITION, outcome.letters),
        )

    async def _write(self, topic: str, values: list[tuple[bytes, bytes]]) -> None:
        if values:
            self._liveness.check()
            await self._producer.write(topic, self.partition, (OutgoingRecord(*value) for value in values))
