"""Records that the projections send to Kafka now and then: few, and each acknowledged before anything rests on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from schemas.kafka.connection import client_options


class Outgoing(NamedTuple):
    """A record to be sent."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Sender:
    """Sends to one topic, and waits `seconds` at most. It connects when there is something to send."""

    def __init__(self, bootstrap_servers: str, topic: str, *, seconds: float, **options: Any) -> None:
        self.topic = topic
        self._seconds = seconds
        self._bootstrap_servers = bootstrap_servers
        self._options = options
        self._producer: AIOKafkaProducer | None = None

    async def send(self, records: Iterable[Outgoing]) -> None:
        """Send records in order; return when all are acknowledged.

        Raises KafkaError or OSError (TimeoutError when it takes too long); some may have been taken by then.
        """
        async with asyncio.timeout(self._seconds):
            producer = await self._connected()
            sent = [
                await producer.send(self.topic, value=record.value, key=record.key, headers=record.headers)
                for record in records
            ]
            await asyncio.gather(*sent)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **client_options(self._bootstrap_servers), acks="all", enable_idempotence=True, **self._options
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None
