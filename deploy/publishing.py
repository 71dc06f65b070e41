"""Records onto a topic, many at a time: large batches, one partition's records in the order they were given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.kafka import admin, missing, partition_counts, producer
from schemas.errors import BotpulseError
from schemas.partitioner import partition_of
from schemas.topics import Topic

BATCH_BYTES: Final = 512 * 1024
"""Below the largest batch that the topics take, above the largest value that the contract allows."""
ACKNOWLEDGED_SECONDS: Final = 120.0
"""Past this an unacknowledged batch is an error: an idempotent producer by itself never gives one up."""
_PLACES_KEPT: Final = 1 << 20


class Publisher:
    """Sends to one topic. Every partition has one batch being filled and one on its way."""

    def __init__(self, client: AIOKafkaProducer, topic: str, partitions: int) -> None:
        self.partitions = partitions
        self.acknowledged = 0
        """Records that are on the log for certain."""
        self._client = client
        self._topic = topic
        self._places: dict[bytes, int] = {}
        self._filling: dict[int, Any] = {}
        self._on_their_way: set[asyncio.Future[Any]] = set()

    def place(self, key: bytes | None) -> int:
        """The partition of a key; records without one lie on the first."""
        if key is None:
            return 0
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _PLACES_KEPT:
                self._places.clear()
            place = self._places[key] = partition_of(key, self.partitions)
        return place

    async def add(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int | None = None,
    ) -> None:
        """Put a record into its partition's batch (or into `partition`'s), sending that one first when it is full.

        Raises BotpulseError when Kafka doesn't take an earlier batch.
        """
        place = self.place(key) if partition is None else partition
        batch = self._filling.get(place)
        if batch is None:
            batch = self._filling[place] = self._client.create_batch()
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            await self._send(place)
            batch = self._filling[place] = self._client.create_batch()
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                raise BotpulseError(f"a record of {len(value or b'')} bytes is too large for {self._topic}")

    async def _send(self, place: int) -> None:
        batch = self._filling.pop(place)
        records = batch.record_count()
        async with _told():
            future = await self._client.send_batch(batch, self._topic, partition=place)
        self._on_their_way.add(future)

        def done(acknowledged: asyncio.Future[Any]) -> None:
            if not acknowledged.cancelled() and acknowledged.exception() is None:
                self.acknowledged += records
                self._on_their_way.discard(acknowledged)

        future.add_done_callback(done)
        # Let the sender run: nothing else here may have to wait for anything.
        await asyncio.sleep(0)

    async def flush(self) -> None:
        """Send what is being filled and return when everything is acknowledged.

        Raises BotpulseError when Kafka doesn't take a batch, or takes longer than ACKNOWLEDGED_SECONDS.
        """
        for place in list(self._filling):
            await self._send(place)
        if not self._on_their_way:
            return
        async with _told():
            await asyncio.wait_for(asyncio.gather(*self._on_their_way), ACKNOWLEDGED_SECONDS)
        # The callbacks run in the loop's next round.
        await asyncio.sleep(0)


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        raise BotpulseError(
            f"Kafka acknowledged nothing for {ACKNOWLEDGED_SECONDS:.0f} s; is it up and has it space?"
        ) from None
    except KafkaError as error:
        raise BotpulseError(f"Kafka refused a batch: {error}") from None


@asynccontextmanager
async def publisher(bootstrap_servers: str, topic: Topic) -> AsyncIterator[Publisher]:
    """A publisher for a topic; on leaving without an error everything is acknowledged.

    Raises ConfigurationError when Kafka doesn't answer or the topic is missing.
    """
    async with admin(bootstrap_servers) as client:
        counts = await partition_counts(client, [topic.name])
    if topic.name not in counts:
        raise missing(topic, bootstrap_servers)
    async with producer(bootstrap_servers, max_batch_size=BATCH_BYTES) as sender:
        publishing = Publisher(sender, topic.name, counts[topic.name])
        yield publishing
        await publishing.flush()
