"""The batched consumer: one Faust message a partition and fetched batch.

Stock Faust makes one message of every record: an asyncio hop, an ack and an interval an event. Here a message's
value is the list of aiokafka records as fetched, its offset is the last one's, and an ack moves the committable
position over the whole batch (`streams.transport.positions`). Faust keeps what it is good at: group membership,
rebalancing, flow control, agents, start and stop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import aiokafka
from aiokafka import OffsetAndMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faust.transport.consumer import Fetcher
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import Service

from schemas.errors import ServiceStopped
from schemas.kafka.connection import client_options
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import accept_any_header_name, bare_records

from .positions import Positions

MAX_IN_FLIGHT = 2
"""Batches of a partition fetched ahead of processing: enough to keep it busy, little enough to bound memory."""

POLL_SECONDS = 0.05
"""How long one fetch waits for records: a partition that was held back is looked at again after this."""

FETCH_MAX_WAIT_MS = 50
"""How long the broker holds an empty fetch. aiokafka sends one fetch a broker at a time, so a partition whose
records arrive while another's empty fetch is held waits this long."""


class Fetched(NamedTuple):
    """Records of one fetch, and of which assignment and seek they are."""

    assignment: object
    seeks: int
    records: Mapping[TP, list[Any]]
    before: dict[TP, int | None]
    """Where each partition stood when the fetch began, None where that is not known yet."""
    after: dict[TP, int | None]
    """Where each partition stands now, also where only a gap (transaction markers, compaction) was passed."""


class BatchFetcher(Fetcher):
    """Faust's fetcher, that ends without a word when it is told to stop within a rebalance, and without a traceback
    where the reason says all."""

    @Service.task
    async def _fetcher(self) -> None:
        stopped: ServiceStopped | None = None
        try:
            await self.app.consumer._drain_messages(self)  # type: ignore[attr-defined]  # a BatchConsumer's
        except asyncio.CancelledError as cancelled:
            if self.app.rebalancing and not self.should_stop:
                # What Faust does: its supervisor starts a crashed fetcher again.
                await self.crash(cancelled)
                assert self.supervisor is not None
                self.supervisor.wakeup()
        except ServiceStopped as error:
            stopped = error
        finally:
            self.set_shutdown()
        if stopped is not None:
            # Out here nothing is being handled any more: a crash logs whatever is.
            await self.crash(stopped)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with an aiokafka consumer that is set up for batches.

    A fetch moves the client's positions; whatever of it is not handed on must be given back, or it is never read again.
    """

    async def on_thread_stop(self) -> None:
        """As Faust's, but for how the consumer is stopped: a cancellation from within would end this thread in a
        traceback, and the service would wait for it for ever."""
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    @property
    def current_assignment(self) -> object:
        """What the group has assigned last; another object after every rebalance."""
        return self._ensure_consumer()._subscription.subscription.assignment

    async def fetch(self, partitions: set[TP], timeout: float) -> Fetched:
        """Fetch from these partitions."""
        fetched: Fetched = await self.call_thread(self._fetch_here, partitions, timeout)
        return fetched

    async def give_back(self, fetched: Fetched) -> None:
        """Let the next fetch bring these records again, unless a rebalance or a seek has set the positions since."""
        await self.call_thread(self._give_back_here, fetched)

    async def _fetch_here(self, partitions: set[TP], timeout: float) -> Fetched:
        consumer = self._ensure_consumer()
        before = {tp: self._position(tp) for tp in partitions}
        records = await self._fetch_records(
            consumer, partitions, timeout=timeout, max_records=consumer._max_poll_records
        )
        # No other code of this thread has run since the positions moved.
        after = {tp: self._position(tp) for tp in partitions}
        seeks = self.consumer.seeks  # type: ignore[attr-defined]  # a BatchConsumer's
        return Fetched(self.current_assignment, seeks, records, before, after)

    async def _give_back_here(self, fetched: Fetched) -> None:
        if fetched.assignment is not self.current_assignment:
            return
        for tp, records in fetched.records.items():
            if records and self._position(tp) == fetched.after[tp]:
                self._ensure_consumer().seek(aiokafka.TopicPartition(*tp), records[0].offset)

    async def commit_noted(self, offsets: Mapping[TP, int], notes: Mapping[TP, str]) -> bool:
        """Commit offsets, each with a text that the broker keeps beside it; False when a rebalance came before."""
        committed: bool = await self.call_thread(self._commit_noted, offsets, notes)
        return committed

    async def _commit_noted(self, offsets: Mapping[TP, int], notes: Mapping[TP, str]) -> bool:
        owned = self.assignment()
        noted = {
            aiokafka.TopicPartition(*tp): OffsetAndMetadata(offset, notes[tp])
            for tp, offset in offsets.items()
            if tp in owned
        }
        try:
            await self._ensure_consumer().commit(noted)
        except CommitFailedError:
            return False  # the partitions are another member's by now, or about to be
        except (KafkaError, IllegalStateError) as error:
            failed = ServiceStopped(f"offsets could not be committed ({type(error).__name__}); a restart carries on")
            await self.crash(failed)
            return False
        return True

    def _position(self, tp: TP) -> int | None:
        assignment = self.current_assignment
        state = None if assignment is None else assignment._tp_state.get(tp)  # type: ignore[attr-defined]
        return None if state is None else state._position

    def last_answer(self) -> float | None:
        """When a broker last answered a fetch, in seconds since 1970; None where none has since the assignment."""
        assignment: Any = self.current_assignment
        states = [] if assignment is None else list(assignment._tp_state.values())
        return max((state.timestamp / 1000 for state in states if state.timestamp is not None), default=None)

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        accept_any_header_name()
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            **client_options(driver.server_list(transport.url, transport.default_port)),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            key_deserializer=bare_records,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )


class BatchConsumer(driver.Consumer):
    """A Faust consumer whose messages are batches.

    The agent's side: `take(message)` when it begins with a batch, `message.ack(consumer)` when every effect of the
    batch is durable. A batch that was neither taken nor acked at a rebalance or stop is forgotten and fetched again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seeks = 0
        """How often the positions were set back to the committed offsets."""
        self.note_of: Callable[[TP], str] = lambda _: ""
        """What to remember beside a partition's committed offset; asked when it is committed."""
        self.on_commit: Callable[[float, bool], None] = lambda seconds, done: None
        """Told of every commit: how long it took, and whether the broker took it."""
        self._positions: dict[TP, Positions] = {}
        self._next: dict[TP, int | None] = {}
        """Where the last fetch has left each partition; all up to there was handed on."""
        self._settled = asyncio.Event()
        self._committed_at = 0.0

    _thread: BatchConsumerThread

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- fetching

    def _fetchable(self) -> set[TP]:
        return {
            tp
            for tp in self._get_active_partitions()
            if tp not in self._positions or self._positions[tp].in_flight < MAX_IN_FLIGHT
        }

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch until stopped, handing every partition's batch to Faust's conductor."""
        while not (self.should_stop or fetcher.should_stop):
            if not self.flow_active:
                await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # mode's own Event or asyncio's
                continue
            partitions = self._fetchable()
            if not partitions:
                self._settled.clear()
                await self.wait(self._settled, timeout=POLL_SECONDS)  # type: ignore[arg-type]
                continue
            fetched = await self._thread.fetch(partitions, POLL_SECONDS)
            if self._outdated(fetched):
                await self._thread.give_back(fetched)
                continue
            self._check_no_hole(fetched)
            await self._hand_on_all(fetched)

    async def _hand_on_all(self, fetched: Fetched) -> None:
        """Hand on batch by batch, as long as they are of the present assignment: a whole rebalance may have come and
        gone while one waited for the conductor, and what is left has been, or will be, fetched again."""
        left = dict(fetched.records)
        for tp, records in fetched.records.items():
            if self._outdated(fetched):
                await self._thread.give_back(fetched._replace(records=left))
                return
            del left[tp]
            if records:
                await self._hand_on(tp, records)

    def _outdated(self, fetched: Fetched) -> bool:
        return (
            not self.flow_active
            or fetched.seeks != self.seeks
            or fetched.assignment is not self._thread.current_assignment
        )

    def _check_no_hole(self, fetched: Fetched) -> None:
        for tp, before in fetched.before.items():
            expected = self._next.get(tp)
            if expected is not None and before is not None and before != expected:
                raise ServiceStopped(
                    f"{tp.topic}/{tp.partition}: about to go on at {before}, the last fetch ended at {expected}: "
                    "records would be missed or doubled; a restart carries on from what is committed"
                )
            self._next[tp] = fetched.after[tp]

    async def _hand_on(self, tp: TP, records: list[Any]) -> None:
        message = self._batch_message(tp, records)
        self._positions.setdefault(tp, Positions()).fetched(message.offset + 1)
        # Where the flow is suspended first, a rebalance or a stop has begun: the batch was not taken, so it is not
        # committed, and the seek at the rebalance's end brings it again.
        await self.wait_first(self.callback(message), self.suspend_flow.wait())

    def _batch_message(self, tp: TP, records: list[Any]) -> ConsumerMessage:
        last = records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            records,  # type: ignore[arg-type]  # Faust's messages carry bytes; ours carry the records
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    # -- acknowledging

    def take(self, message: Message) -> bool:
        """Begin with a batch; False when it belongs to an earlier assignment and must be dropped."""
        positions = self._positions.get(message.tp)
        if positions is None or message.generation_id != self.app.consumer_generation_id:
            return False
        positions.taken(message.offset + 1)
        return True

    def track_message(self, message: Message) -> None:
        """Faust's per-message bookkeeping is replaced by `Positions`."""

    def ack(self, message: Message) -> bool:
        """All effects of this batch are durable: its partition's committable position may move over it."""
        message.acked = True
        positions = self._positions.get(message.tp)
        if positions is None:
            return False
        positions.finished(message.offset + 1)
        self._settled.set()
        return True

    async def wait_empty(self) -> None:
        """Wait until every batch that an agent took is acked, then commit."""
        while any(positions.being_processed for positions in self._positions.values()):
            self._settled.clear()
            await asyncio.wait([asyncio.ensure_future(self._settled.wait())], timeout=POLL_SECONDS)
        await self.commit()

    # -- committing

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self._positions if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._positions[tp].committable

    async def _handle_attached(self, commit_offsets: Mapping[TP, int]) -> None:
        """Nothing is attached to offsets here: effects are acknowledged before their batch is."""

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        owned = self.assignment()
        committable = {tp: offset for tp, offset in offsets.items() if tp in owned}
        notes = {tp: self.note_of(tp) for tp in committable}
        if not committable:
            return False
        begun = time.monotonic()
        done = await self._thread.commit_noted(committable, notes)
        self.on_commit(time.monotonic() - begun, done)
        if not done:
            return False
        self._committed_at = time.time()
        self._committed_offset.update(committable)
        return True

    def progress(self, tp: TP) -> tuple[int, int] | None:
        """Where the log ended when it was last fetched, and the committed offset; None while either is unknown."""
        if tp not in self.assignment():
            return None
        end, committed = self.highwater(tp), self._committed_offset.get(tp)
        return None if end is None or committed is None else (end, committed)

    def silent_seconds(self) -> float:
        """How long no broker has answered a fetch or a commit; 0 where nothing was fetched since the assignment.

        Of all partitions the latest: one whose records wait here is not fetched from.
        """
        answer = self._thread.last_answer()
        return 0.0 if answer is None else max(0.0, time.time() - max(answer, self._committed_at))

    # -- rebalancing

    async def perform_seek(self) -> None:
        """Begin again at the committed offsets, or at the beginning; what was fetched before is forgotten."""
        self._forget()
        await super().perform_seek()
        # The client leaves a partition without a committed offset where it is: beyond what was fetched and forgotten.
        uncommitted = [tp for tp in self.assignment() if not self._committed_offset.get(tp)]
        if uncommitted:
            await self._thread.seek_to_beginning(*(aiokafka.TopicPartition(*tp) for tp in uncommitted))
        # From here on only what was fetched after the seek may be handed on.
        self.seeks += 1
        self._forget()

    def _forget(self) -> None:
        self._positions.clear()
        self._next.clear()

    @Service.transitions_to("PARTITIONS_REVOKED")
    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish the batches in hand and commit them, then let the partitions go.

        Until the rebalance's end nothing flows. Faust sees to that only where there were partitions before: those of a
        member that had none would be fetched and handed on before their positions are set.
        """
        self.stop_flow()
        await super().on_partitions_revoked(revoked)
        self._forget()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's detector counts events one by one; `streams.metrics` reports lag and progress instead."""
