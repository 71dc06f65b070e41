"""A lane: one partition's batches, one after the other, each made durable before the next begins.

The order inside a batch, and why: decode and fold → letters, tier changes and ledger entries sent and acknowledged →
aggregates sent and acknowledged → local state → ack. An aggregate names the position it has applied, so whatever is
not durable before it would be skipped for ever; whatever is durable before it and repeated after a crash is the same
record again: letters and tier changes carry the same identity, entries are read as the aggregate knows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog
from faust.types import Message

from schemas.codec import Decoder
from schemas.errors import ConfigurationError
from schemas.process import crash_points
from schemas.process.tracing import Traces
from schemas.records import Place
from schemas.topics import Topics

from .batch import Outcome, fold_batch
from .belonging import REPAIR, Note
from .liveness import Liveness
from .metrics import Metrics
from .restore import Restorer
from .rules import RulesRequest, decide_anew
from .state import PartitionState
from .tracing import hand_on
from .transport import BatchProducer

DEAD_LETTER_PARTITION = 0
USERS_AT_ONCE = 2_000
_NO_HEADERS: list[tuple[str, bytes]] = []

log = structlog.get_logger("streams")


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
        traces: Traces | None = None,
    ) -> None:
        self.partition = partition
        self.state = PartitionState()
        self.ready = False
        self._ends: dict[str, int] = {}
        self._busy = False
        self._topics = topics
        self._source = Place(topics.events.name, partition)
        self._decoder = decoder
        self._producer = producer
        self._restorer = restorer
        self._liveness = liveness
        self._metrics = metrics
        self._acknowledge = acknowledge
        self._traces = traces
        self._work: asyncio.Queue[Message | RulesRequest] = asyncio.Queue()

    def submit(self, work: Message | RulesRequest) -> None:
        """Queue a batch (the consumer bounds how many there can be) or a request to decide all tiers anew."""
        self._work.put_nowait(work)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not self._busy and self._work.empty()

    @property
    def note(self) -> Note:
        """How far the changelogs have come; what is committed from now on was made durable before."""
        aggregates, ledger = (
            self._ends.get(t.name, 0) for t in (self._topics.user_aggregates, self._topics.user_ledger)
        )
        return Note(self.state.greatest_applied, aggregates, ledger)

    async def run(self, request: RulesRequest | None) -> None:
        """Bring the state up to date, then work until cancelled; `request` comes before anything queued."""
        self.ready = False
        await self._restore()
        if request is not None:
            await self._decide_anew(request)
        self.ready = True
        while True:
            work = await self._work.get()
            self._busy = True
            if isinstance(work, RulesRequest):
                await self._decide_anew(work)
            else:
                await self._process(work)
            self._busy = False

    async def _restore(self) -> None:
        restored = await self._restorer.restore(self.state, partial(self._metrics.restoring, self.partition))
        self._metrics.restored(self.partition, restored)
        self._ends = self._restorer.ends
        users, entries = self.state.outdated()
        await self._write(self._topics.user_ledger.name, entries)
        await self._write(self._topics.user_aggregates.name, users)

    async def _process(self, message: Message) -> None:
        records = message.value
        assert isinstance(records, list)
        traced = None if self._traces is None else self._traces.begin("streams fold", *self._source, records)
        with self._metrics.step("fold"):
            outcome = fold_batch(records, self._source, self._decoder, self.state)
        if self._traces is not None and traced:
            hand_on(self._traces, traced, outcome)
        crash_points.reached("folded")
        await self._make_durable(outcome)
        crash_points.reached("stored")
        self._acknowledge(message)
        crash_points.reached("acked")
        self._metrics.batch(self.partition, records, outcome)
        if outcome.letters:
            _tell_refused(self._source, outcome)
        if self._traces is not None and traced:
            self._traces.end(traced)

    async def _decide_anew(self, request: RulesRequest) -> None:
        keys = self.state.users_of_other_rules(request.version)
        for part in range(0, len(keys), USERS_AT_ONCE):
            outcome = decide_anew(keys[part : part + USERS_AT_ONCE], request, self.state)
            await self._make_durable(outcome)
            self._metrics.moved(outcome)

    async def _make_durable(self, outcome: Outcome) -> None:
        users, entries = self.state.changes()
        with self._metrics.step("send"):
            await self._send(outcome, entries)
        crash_points.reached("sent")
        with self._metrics.step("changelog"):
            await self._write(self._topics.user_aggregates.name, users)
        crash_points.reached("changelog")
        self.state.stored(users, entries, outcome.applied)

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
            # As bare tuples: making a named one of each would cost more than putting it into its batch.
            records = ((key, value, _NO_HEADERS) for key, value in values)
            end = await self._producer.write(topic, self.partition, records)
            if end is not None:
                self._check_grows(topic, end)

    def _check_grows(self, topic: str, end: int) -> None:
        known = self._ends.get(topic, 0)
        if end <= known:
            raise ConfigurationError(
                f"{topic}/{self.partition} ended at {known} and now at {end}: it was made anew while this worker was "
                f"at work. {REPAIR}"
            )
        self._ends[topic] = end


def _tell_refused(source: Place, outcome: Outcome) -> None:
    """One line a batch: the letters themselves are on their topic."""
    headers = dict(outcome.letters[0].headers)
    log.warning(
        "records were refused",
        topic=source.topic,
        partition=source.partition,
        offset=int(headers["dl-offset"]),
        reasons=dict(outcome.refused),
    )
