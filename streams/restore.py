"""Reading a partition's state back from its changelog topics, in batches."""

from __future__ import annotations

from collections.abc import Callable

import aiokafka
from aiokafka import TopicPartition

from schemas.codec import Decoder
from schemas.errors import ConfigurationError
from schemas.kafka.connection import client_options
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import accept_any_header_name, bare_records
from schemas.topics import Topics

from . import belonging
from .belonging import NO_LOG, REPAIR, Committed
from .state import PartitionState

MAX_FETCH_BYTES = 4 * 1024 * 1024
PATIENCE_MS = 120_000
"""How long a broker that is paused is waited for: as long as for an acknowledgement."""


class Restorer:
    """Reads what the changelog topics hold of one partition into its state.

    It remembers how far it read: a second call reads only what was written since, by this worker or by another one
    that owned the partition in between.
    """

    def __init__(self, bootstrap_servers: str, topics: Topics, partition: int, decoder: Decoder) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = topics.streams_group
        self._decoder = decoder
        self._source = TopicPartition(topics.events.name, partition)
        self._users = TopicPartition(topics.user_aggregates.name, partition)
        self._entries = TopicPartition(topics.user_ledger.name, partition)
        self._read_up_to: dict[TopicPartition, int] = {}

    @property
    def ends(self) -> dict[str, int]:
        """By topic, where the changelogs ended when they were read."""
        return {tp.topic: end for tp, end in self._read_up_to.items()}

    async def restore(self, state: PartitionState, progress: Callable[[int], None] = lambda _: None) -> int:
        """Bring `state` up to the changelog's end; returns how many records were read.

        `progress` is told how many offsets lie ahead; a compacted topic has fewer records than that.

        Raises ConfigurationError when log, committed offset and changelogs don't belong together: the state lacks what
        was committed, or has applied what the log does not reach.
        """
        # Read before the changelogs: what a commit covers was on them before it.
        done = await belonging.committed(self._bootstrap_servers, self._group, self._source, PATIENCE_MS)
        accept_any_header_name()
        consumer = aiokafka.AIOKafkaConsumer(
            **client_options(self._bootstrap_servers),
            enable_auto_commit=False,
            key_deserializer=bare_records,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
            fetch_max_wait_ms=50,
            request_timeout_ms=PATIENCE_MS,
        )
        await consumer.start()
        try:
            changelogs = [self._users, self._entries]
            consumer.assign(changelogs)
            beginnings = await consumer.beginning_offsets(changelogs)
            ends = await consumer.end_offsets([*changelogs, self._source])
            belonging.check_ends(
                done, self._group, {tp.topic: ends[tp] for tp in changelogs}, ends[self._source], self._source
            )
            for tp in changelogs:
                consumer.seek(tp, max(self._read_up_to.get(tp, 0), beginnings[tp]))
            count = 0
            while ahead := sum([max(0, ends[tp] - await consumer.position(tp)) for tp in changelogs]):
                progress(ahead)
                for tp, records in (await consumer.getmany(timeout_ms=100, max_records=50_000)).items():
                    (state.merge_users if tp == self._users else state.merge_entries)(records)
                    count += len(records)
            progress(0)
            for tp in changelogs:
                self._read_up_to[tp] = ends[tp]
        finally:
            await stop_consumer(consumer)
        await self._check(state, done, ends[self._source])
        return count

    async def _check(self, state: PartitionState, done: Committed, source_end: int) -> None:
        users, source, applied = self._users, self._source, state.greatest_applied
        if applied >= source_end:
            raise ConfigurationError(
                f"{users.topic}/{users.partition} has applied offset {applied} of {source.topic}, which ends at "
                f"{source_end}: these topics don't belong together (was one recreated or restored?). {NO_LOG}"
            )

        async def first_missing() -> int | None:
            return await belonging.first_event_of_a_user(
                self._bootstrap_servers, source, applied + 1, done.offset, self._decoder
            )

        await belonging.check_applied(done, self._group, applied, source, users.topic, first_missing)
        if state.lacks_its_ledger:
            raise ConfigurationError(
                f"{self._entries.topic}/{source.partition} is empty, and {users.topic} knows of purchases or refunds: "
                f"it was lost or made anew. {REPAIR}"
            )
