"""A lane: some of a worker's partitions, from the log to rows, batch by batch, each event once.

    1  fetch      what has arrived on all partitions, from the checkpoints' positions
    2  decode     by the one rule of `schemas`; what is invalid is counted and skipped
                  (1 and 2 for the next batch, while 4 to 8 write the last one: see `prefetch`)
    3  dedupe     what was applied before, by (source, id, time), is counted and skipped
    4  begin
    5  fence      compare-and-set of epoch and next offset of every partition of the batch
    6  remember   the digests of what is applied now
    7  apply      fold, write the rows
    8  commit     rows, digests and checkpoints, all or nothing
    9  hint       Kafka's committed offsets follow, for lag tools

A lost connection leaves the commit's outcome unknown. Then the checkpoints are read again: at the new offsets the batch
was committed, at the old ones it is written again, anywhere else another writer was here.

A worker has several lanes, each with a connection of its own: while Postgres writes one's batch, another one folds. To
the database two lanes are what two workers are. A partition is always of the same lane of its worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

import asyncpg
import structlog

from projections import checkpoints, sql
from projections.applied import AppliedEvents
from projections.audit.heads import Heads
from projections.batch import Apply
from projections.belonging import check_belonging
from projections.checkpoints import Lease, Place
from projections.database import is_away
from projections.group import Membership
from projections.health import LaneHealth
from projections.intake import Batch, Intake
from projections.letters import Letters
from projections.log_reader import LogReader
from projections.metrics import Metrics
from projections.prefetch import Prefetch
from projections.session import Session
from projections.settings import Settings
from projections.writer import Writer, Written
from schemas.errors import ConfigurationError, FencedOut
from schemas.process.tracing import Traces

LANES: Final = 2
"""More would only wait for each other: the interpreter folds one batch at a time."""
WAIT_SECONDS: Final = 0.5
"""How long a turn waits for records."""
LOOK_SECONDS: Final = 2.0
"""Pause between two looks at lag and open refusals."""
SILENT_SECONDS: Final = 15.0
"""Without an answer for longer, Kafka counts as away."""

log = structlog.get_logger(__name__)


def lane_of(place: Place) -> int:
    """Return the number of the lane that a partition is of: the parity of the ones in its number.

    So also every second or every fourth partition, which is what the group deals out to two or four workers, is half
    of one lane and half of the other. The topics' partitions of one number, which are about the same users, stay
    together.
    """
    return place.partition.bit_count() % LANES


class Lane:
    """One lane of a worker."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        apply: Apply,
        *,
        partition_counts: Mapping[str, int],
        membership: Membership,
        metrics: Metrics,
        connection: asyncpg.Connection | None,
        stopping: asyncio.Event,
        traces: Traces | None,
    ) -> None:
        topics = settings.topics
        self.health = LaneHealth()
        self._number = number
        self._partition_counts = partition_counts
        self._membership = membership
        self._metrics = metrics
        self._traces = traces
        self._owner = checkpoints.owner_name()
        self._session = Session(settings, connection)
        self._reader = LogReader(settings.bootstrap_servers)
        self._letters = Letters(settings.bootstrap_servers, topics.dead_letters.name)
        self._heads = Heads(settings.bootstrap_servers, topics.audit_heads.name)
        self._applied = AppliedEvents()
        self._intake = Intake(topics, partition_counts, self._applied)
        self._prefetch = Prefetch(self._reader, self._intake, settings.batch_records)
        self._writer = Writer(apply, self._letters.send, metrics)
        self._stopping = stopping
        self._leases: dict[Place, Lease] = {}
        self._generation = 0
        """The membership's generation that the leases are of."""
        self._tables = 0
        """The generation of the tables that the leases are of."""
        self._leased_by = 0
        """The session that the leases are registered with."""
        self._in_hand: Batch | None = None
        """A batch that is fetched and not known to be committed."""
        self._next_look = 0.0

    async def start(self) -> None:
        """Connect to the log. Raises KafkaError when no broker answers."""
        await self._reader.start()

    async def run(self) -> None:
        """Work until the worker stops. Raises what `Runner.run` raises."""
        while not self._stopping.is_set():
            self.health.last_turn = time.monotonic()
            self._membership.check()
            try:
                try:
                    await self._turn()
                except FencedOut:
                    if not await self._another_generation():
                        raise
            except Exception as error:
                if not is_away(error, self._session.connection):
                    raise
                await self._wait_for_database(error)

    async def leave(self) -> None:
        """Give up what is in hand, and the connection to Postgres."""
        await self._prefetch.stop()
        await self._session.close()

    async def close(self) -> None:
        """Close every connection to Kafka."""
        await self._letters.close()
        await self._heads.close()
        await self._reader.stop()

    async def _turn(self) -> None:
        connection = await self._session.open()
        self.health.database_up = True
        if self._generation != self._membership.generation:
            await self._take_over(connection)
        elif self._leased_by != self._session.number:
            await self._renew(connection)
        elif self._in_hand is not None:
            await self._write(connection, self._in_hand)
        elif not self._leases:
            await self._wait_for_change(WAIT_SECONDS)
            await self._look(connection)
        else:
            await self._fetch(connection)

    async def _another_generation(self) -> bool:
        """Whether a rebuild has put other tables in place since the claims; this worker then claims anew."""
        if self._session.connection is None or not self._leases:
            return False
        if await checkpoints.generation(self._session.connection) == self._tables:
            return False
        log.info("other tables were put in place of the ones that this worker wrote")
        self._generation = -1
        return True

    async def _wait_for_database(self, error: BaseException) -> None:
        self.health.database_up = False
        self._metrics.retried()
        await self._wait_for_change(self._session.lose(error))

    async def _wait_for_change(self, seconds: float) -> None:
        """Wait, but not past a rebalance or a stop."""
        self._membership.changed.clear()
        rebalanced = self._generation != self._membership.generation
        if self._stopping.is_set() or (rebalanced and self._session.connection is not None):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._membership.changed.wait()

    async def _take_over(self, connection: asyncpg.Connection) -> None:
        """Claim what the group has given this worker, and begin where the checkpoints say.

        Whatever was in hand is dropped: if its commit was in doubt, the claim returns the truth.
        """
        generation = self._membership.generation
        partitions = {place for place in self._membership.partitions if lane_of(place) == self._number}
        await self._release()
        self.health.joined = False
        # Before the claims: whatever of them is of older tables is noticed at the first batch.
        self._tables = await checkpoints.generation(connection)
        leases = [await checkpoints.claim(connection, place, self._owner) for place in sorted(partitions)]
        for lease in leases:
            if lease.place.partition >= self._partition_counts[lease.place.topic]:
                raise ConfigurationError(
                    f"topic {lease.place.topic} has grown: a topic's partition count never changes, growth is a new "
                    "topic with a copy (setting BOTPULSE_TOPIC_PREFIX)"
                )
        await check_belonging(self._reader, leases)
        self._leases = {lease.place: lease for lease in leases}
        await self._read_on()
        self._generation, self._leased_by = generation, self._session.number
        self._session.works()
        self.health.joined = self._membership.settled
        self._next_look = 0.0
        for lease in leases:
            self._metrics.claimed(lease)
        log.info("claimed", lane=self._number, partitions=[str(lease.place) for lease in leases], owner=self._owner)

    async def _release(self) -> None:
        for place in self._leases:
            self._metrics.released(place)
        self._leases, self._in_hand = {}, None
        self._applied.forget()
        await self._prefetch.stop()

    async def _read_on(self) -> None:
        """Read from the checkpoints on."""
        await self._prefetch.start({place: lease.next_offset for place, lease in self._leases.items()})

    async def _renew(self, connection: asyncpg.Connection) -> None:
        """After a lost connection: find out whether the batch in hand was committed, and go on."""
        now = {place: await checkpoints.renew(connection, lease) for place, lease in self._leases.items()}
        moved = {} if self._in_hand is None else {move.place: move.next_offset for move in self._in_hand.moves}
        before = {place: lease.next_offset for place, lease in self._leases.items()}
        if self._in_hand is not None and now == {**before, **moved}:
            log.info("the batch in doubt was committed")
            # Its digests are in the table; the hours that it touched are read again when they are needed.
            self._applied.forget()
            self._committed(self._in_hand, None)
        elif now != before:
            raise FencedOut("a checkpoint moved while the database was away: another writer was here")
        if self._in_hand is None:
            # Records may have been taken and lost with the connection.
            await self._read_on()
        self._leased_by = self._session.number
        self._session.works()

    async def _fetch(self, connection: asyncpg.Connection) -> None:
        """Steps 1 to 3, of which the first two are done already, and the writing."""
        generation = self._generation
        decoded = await self._prefetch.take(WAIT_SECONDS)
        if self._stopping.is_set() or generation != self._membership.generation:
            return
        if decoded is not None:
            self._metrics.took("decode", decoded.seconds)
            # From `take` to the commit only `_in_hand` knows these records: whatever goes wrong before it is set is
            # followed by `_renew` or `_take_over`, and both begin to read again from the checkpoints.
            with self._metrics.step("dedupe"):
                self._in_hand = await self._intake.batch(connection, decoded, self._leases)
            await self._write(connection, self._in_hand)
        await self._look(connection)

    async def _write(self, connection: asyncpg.Connection, batch: Batch) -> None:
        """Steps 4 to 9."""
        async with self._membership.holding(self._generation) as still_ours:
            if not still_ours:
                return
            began = time.time_ns()
            written = await self._writer.write(connection, batch)
            self._applied.committed(written.hours)
            self._committed(batch, written)
            if self._traces is not None:
                for place, records in batch.records.items():
                    self._traces.end(
                        self._traces.begin("projections apply", place.topic, place.partition, records, began)
                    )
        self._session.works()

    def _committed(self, batch: Batch, written: Written | None) -> None:
        """Go on from the batch's end. `written` is None where the commit was in doubt: what it did is not counted."""
        for move in batch.moves:
            self._leases[move.place] = self._leases[move.place].after(move)
            last = move.last_record
            self._metrics.moved(move.place, move.next_offset, None if last is None else last.timestamp)
        self._in_hand = None
        self._membership.hint({move.place: move.next_offset for move in batch.moves})
        outcomes = {
            "applied": (len(batch.arrivals) if written is None else written.applied) - batch.letters,
            "duplicate": sum(move.duplicates for move in batch.moves),
            "invalid": batch.invalid.total(),
            "conflict": 0 if written is None else written.conflicts,
            "refused": 0 if written is None else len(written.refusals),
        }
        self._metrics.batch(sum(map(len, batch.records.values())), outcomes, batch.invalid)
        if batch.records:
            self._metrics.committed(
                min(records[0].timestamp for records in batch.records.values()),
                [arrival.event for arrival in batch.arrivals[: len(batch.marks)]],
            )
        for refusal in () if written is None else written.refusals:
            log.error(
                "the database refused an event",
                topic=refusal.arrival.topic,
                partition=refusal.arrival.partition,
                offset=refusal.arrival.offset,
                event_id=getattr(refusal.arrival.event, "id", None),
                why=refusal.detail,
            )
            self._next_look = 0.0

    async def _look(self, connection: asyncpg.Connection) -> None:
        """Now and then: are the tables still these, how far behind, is Kafka there, is anything open, audit heads."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        # While nothing arrives no fence says so; tables that were taken back may lack events that are on the log.
        if await self._another_generation():
            return
        for place, lease in self._leases.items():
            end = self._reader.end_of(place)
            if end is not None:
                self._metrics.lag(place, end, lease.next_offset)
        self.health.kafka_up = self._prefetch.full or self._reader.silent_seconds() < SILENT_SECONDS
        self.health.open_refusals = await connection.fetchval(sql.query("refused", "open_refusals"))
        self._metrics.open_refusals(self.health.open_refusals)
        await self._heads.look(connection, self._leases)
