"""Dead letters of the stage projections: events whose rows the database refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.dead_letters import letter
from schemas.errors import ServiceStopped
from schemas.kafka_connection import client_options
from schemas.reasons import Reason
from schemas.records import LogRecord

ACKNOWLEDGED_SECONDS: Final = 15.0
"""The batch's transaction waits for this long at most."""
MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024


class Letters:
    """Sends letters; connects when the first one is needed, which is hardly ever."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None

    async def send(self, refused: Sequence[tuple[LogRecord, str]]) -> None:
        """Write a letter for each record with its detail; return when all are acknowledged.

        Raises ServiceStopped if Kafka doesn't acknowledge them in time: the caller commits nothing.
        """
        if not refused:
            return
        try:
            async with asyncio.timeout(ACKNOWLEDGED_SECONDS):
                producer = await self._connected()
                sent = []
                for record, detail in refused:
                    key, value, headers = letter(record, Reason.DATABASE, detail, "projections")
                    sent.append(await producer.send(self._topic, value=value, key=key, headers=headers))
                await asyncio.gather(*sent)
        except (KafkaError, OSError) as error:
            raise ServiceStopped(
                f"{self._topic} did not take the dead letter of a refused event ({type(error).__name__}: {error}); "
                "the event stays unapplied on the log"
            ) from error

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **client_options(self._bootstrap_servers),
                acks="all",
                enable_idempotence=True,
                max_request_size=MAX_REQUEST_BYTES,
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
