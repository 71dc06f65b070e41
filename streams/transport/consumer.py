"""The batched consumer: one Faust message a partition and fetched batch.

Stock Faust makes one message of every record: an asyncio hop, an ack and an interval an event. Here a message's
value is the list of aiokafka records as fetched, its offset is the last one's, and an ack moves the committable
position over the whole batch (`streams.transport.positions`). Faust keeps what it is good at: group membership,
rebalancing, flow control, agents, start and stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import aiokafka
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import Service

from .positions import Positions

MAX_IN_FLIGHT = 2
"""Batches of a partition fetched ahead of processing: enough to keep it busy, little enough to bound memory."""

POLL_SECONDS = 0.05
"""How long one fetch waits for records: a partition that was held back is looked at again after this."""

FETCH_MAX_WAIT_MS = 50
"""How long the broker holds an empty fetch. aiokafka sends one fetch a broker at a time, so a partition whose
records arrive while another's empty fetch is held waits this long."""


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with an aiokafka consumer that is set up for batches."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
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
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )


class BatchConsumer(driver.Consumer):
    """A Faust consumer whose messages are batches.

    The agent's side: `take(message)` when it begins with a batch, `message.ack(consumer)` when every effect of the
    batch is durable. A batch that was neither taken nor acked at a rebalance or stop is forgotten and fetched again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._positions: dict[TP, Positions] = {}
        self._settled = asyncio.Event()

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
            generation = self.app.consumer_generation_id
            batches = await self._thread.getmany(partitions, POLL_SECONDS)
            for tp, records in batches.items():
                if not records or not self.flow_active or self.app.consumer_generation_id != generation:
                    # A rebalance began: it ends with a seek to the committed offsets, so these come again.
                    continue
                message = self._batch_message(tp, records)
                self._positions.setdefault(tp, Positions()).fetched(message.offset + 1)
                await self.wait_first(self.callback(message), self.suspend_flow.wait())

    def _batch_message(self, tp: TP, records: list[Any]) -> ConsumerMessage:
        last = records[-1]
        return ConsumerMessage(
            last.topic,
            last.partition,
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
        if not committable or not await self._commit(committable):
            return False
        self._committed_offset.update(committable)
        return True

    # -- rebalancing

    async def perform_seek(self) -> None:
        """Begin again at the committed offsets, or at the beginning; what was fetched before is forgotten."""
        self._positions.clear()
        await super().perform_seek()
        # The client leaves a partition without a committed offset where it is: beyond what was fetched and forgotten.
        uncommitted = [tp for tp in self.assignment() if not self._committed_offset.get(tp)]
        if uncommitted:
            await self._thread.seek_to_beginning(*(aiokafka.TopicPartition(*tp) for tp in uncommitted))

    def forget(self, partitions: Iterable[TP]) -> None:
        """Drop what is known of partitions that were taken away."""
        for tp in partitions:
            self._positions.pop(tp, None)

    @Service.transitions_to("PARTITIONS_REVOKED")
    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish the batches in hand and commit them, then let the partitions go."""
        await super().on_partitions_revoked(revoked)
        self.forget(revoked)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's detector counts events one by one; `streams.metrics` reports lag and progress instead."""
