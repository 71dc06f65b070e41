"""The batched producer: records of one partition written with as few calls as the broker's limits allow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver

from schemas.errors import ServiceStopped
from schemas.kafka.connection import KafkaSecurity

ACKNOWLEDGEMENT_SECONDS = 120.0
"""An idempotent aiokafka producer never gives a batch up by itself: past this the process ends and starts anew."""

MAX_BATCH_BYTES = 512 * 1024
MAX_REQUEST_BYTES = 3 * 1024 * 1024  # dead letters are up to 2 MiB


class OutgoingRecord(NamedTuple):
    """A record to write: key, value and headers as bytes."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012  # aiokafka takes a list and nothing else; never changed


Outgoing = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""An OutgoingRecord, or a bare tuple of the same."""


class BatchProducer(driver.Producer):
    """Faust's aiokafka producer, idempotent, with whole batches written at once."""

    def _settings_auth(self) -> Mapping[str, Any]:
        return KafkaSecurity.from_environment().options()

    def _settings_extra(self) -> Mapping[str, Any]:
        return {
            "acks": "all",
            "enable_idempotence": True,
            "max_batch_size": MAX_BATCH_BYTES,
            "max_request_size": MAX_REQUEST_BYTES,
        }

    async def write(self, topic: str, partition: int, records: Iterable[Outgoing]) -> int | None:
        """Write records to one partition in order and wait until the broker has acknowledged all of them.

        Returns the offset after the last record written, None where there was none (or, after the broker's answer was
        lost, it does not say). Raises ServiceStopped, naming
        topic and partition, when the broker refuses a record or does not answer within ACKNOWLEDGEMENT_SECONDS.
        """
        try:
            async with asyncio.timeout(ACKNOWLEDGEMENT_SECONDS):
                return await self._write(topic, partition, records)
        except TimeoutError as error:
            raise ServiceStopped(
                f"no acknowledgement for {topic}/{partition} within {ACKNOWLEDGEMENT_SECONDS:.0f} s; "
                "nothing of this batch was committed, a restart carries on"
            ) from error
        except KafkaError as error:
            raise ServiceStopped(
                f"{topic}/{partition} refused a write ({type(error).__name__}); "
                "nothing of this batch was committed, a restart carries on"
            ) from error

    async def _write(self, topic: str, partition: int, records: Iterable[Outgoing]) -> int | None:
        producer = self._ensure_producer()
        pending: list[tuple[asyncio.Future[Any], int]] = []
        builder = producer.create_batch()
        for key, value, headers in records:
            if builder.append(timestamp=None, key=key, value=value, headers=headers) is not None:
                continue
            if builder.record_count():
                pending.append((await producer.send_batch(builder, topic, partition=partition), builder.record_count()))
            builder = producer.create_batch()
            if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
                # Larger than a batch may be: on its own it may be as large as a request.
                pending.append(
                    (
                        await producer.send(topic, value, key=key, partition=partition, headers=headers),
                        1,
                    )
                )
                builder = producer.create_batch()
        if builder.record_count():
            pending.append((await producer.send_batch(builder, topic, partition=partition), builder.record_count()))
        next_offset = None
        for future, count in pending:
            metadata = await future
            next_offset = metadata.offset + count if metadata.offset >= 0 else None
        return next_offset
