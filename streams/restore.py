"""Reading a partition's state back from its changelog topics, in batches."""

from __future__ import annotations

from collections.abc import Callable

import aiokafka
from aiokafka import TopicPartition

from schemas.errors import ConfigurationError
from schemas.topics import Topics

from .state import PartitionState

MAX_FETCH_BYTES = 4 * 1024 * 1024


class Restorer:
    """Reads what the changelog topics hold of one partition into its state.

    It remembers how far it read: a second call reads only what was written since, by this worker or by another one
    that owned the partition in between.
    """

    def __init__(self, bootstrap_servers: str, topics: Topics, partition: int) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._source = TopicPartition(topics.events.name, partition)
        self._users = TopicPartition(topics.user_aggregates.name, partition)
        self._entries = TopicPartition(topics.user_ledger.name, partition)
        self._read_up_to: dict[TopicPartition, int] = {}

    async def restore(self, state: PartitionState, progress: Callable[[int], None] = lambda _: None) -> int:
        """Bring `state` up to the changelog's end; returns how many records were read.

        Raises ConfigurationError when the state has applied offsets that the event log does not reach: then the
        topics don't belong together.
        """
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            enable_auto_commit=False,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
            fetch_max_wait_ms=50,
        )
        await consumer.start()
        try:
            changelogs = [self._users, self._entries]
            consumer.assign(changelogs)
            beginnings = await consumer.beginning_offsets(changelogs)
            ends = await consumer.end_offsets([*changelogs, self._source])
            for tp in changelogs:
                consumer.seek(tp, max(self._read_up_to.get(tp, 0), beginnings[tp]))
            count = 0
            while any([await consumer.position(tp) < ends[tp] for tp in changelogs]):
                for tp, records in (await consumer.getmany(timeout_ms=100, max_records=50_000)).items():
                    merge = state.merge_user if tp == self._users else state.merge_entry
                    for record in records:
                        merge(record.key, record.value)
                    count += len(records)
                progress(count)
            for tp in changelogs:
                self._read_up_to[tp] = ends[tp]
        finally:
            await consumer.stop()
        if state.greatest_applied >= ends[self._source]:
            raise ConfigurationError(
                f"{self._users.topic}/{self._users.partition} has applied offset {state.greatest_applied} of "
                f"{self._source.topic}, which ends at {ends[self._source]}: these topics don't belong together "
                "(was one recreated or restored?). Restore both, or delete the changelog topics and let streams "
                "fold the log again"
            )
        return count
