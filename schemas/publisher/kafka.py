"""Kafka as the publisher needs it: events sent in order, within a deadline of our own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from ..errors import ConfigurationError
from ..kafka.connection import why_refused
from ..records import CONTENT_TYPE_HEADER

BATCH_BYTES: Final = 512 * 1024
"""Below the largest batch that the topic takes, above the largest value that the contract allows."""
Headers = Sequence[tuple[str, bytes]]

REFUSED_FOR_GOOD: Final = (MessageSizeTooLargeError,)
"""Trying these again is of no use."""

# What is wrong is told in our own words, once.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class KafkaLog:
    """One topic, through one idempotent producer at a time. Not connected until `connect` was called."""

    def __init__(self, bootstrap_servers: str, topic: str, deadline_seconds: float, options: dict[str, Any]) -> None:
        self._topic = topic
        self._deadline = deadline_seconds
        self._options = {
            "max_batch_size": BATCH_BYTES,
            **options,
            "bootstrap_servers": bootstrap_servers,
            "acks": "all",
            "enable_idempotence": True,
            "request_timeout_ms": round(deadline_seconds * 1000),
        }
        self._producer: AIOKafkaProducer | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a producer."""
        return self._producer is not None

    async def connect(self) -> None:
        """Connect, and see that the topic is there. Raises KafkaError, OSError or TimeoutError.

        Raises ConfigurationError for an option that aiokafka refuses.
        """
        try:
            producer = AIOKafkaProducer(**self._options)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"the publisher's Kafka options: {error}") from None
        started = False
        try:
            async with asyncio.timeout(self._deadline):
                await producer.start()
                started = True
                await producer.partitions_for(self._topic)
        except KafkaConnectionError:
            self._leave(producer)
            if reason := await why_refused(self._options):
                raise KafkaConnectionError(reason) from None
            raise
        except TimeoutError:
            self._leave(producer)
            if not started:
                raise TimeoutError(f"no answer from {self._options['bootstrap_servers']}") from None
            raise UnknownTopicOrPartitionError(f"no topic {self._topic}: create it (botpulse topics apply)") from None
        except BaseException:
            self._leave(producer)
            raise
        self._producer = producer

    async def send(self, events: Sequence[tuple[bytes, bytes, Headers]]) -> list[BaseException | None]:
        """Send events (key, value, further headers) in their order.

        Returns for each what went wrong, None where it is acknowledged.

        One that is not acknowledged may be on the log all the same.
        """
        assert self._producer is not None
        futures: list[asyncio.Future[Any]] = []
        failure: BaseException | None = None
        try:
            async with asyncio.timeout(self._deadline):
                for key, value, headers in events:
                    future = await self._producer.send(
                        self._topic, value, key=key, headers=[CONTENT_TYPE_HEADER, *headers]
                    )
                    future.add_done_callback(_retrieved)
                    futures.append(future)
                if futures:
                    await asyncio.wait(futures)
        except TimeoutError:
            failure = TimeoutError(f"nothing was acknowledged for {self._deadline:g} s")
        except (KafkaError, OSError) as error:
            failure = error
        outcomes = [_outcome(future, failure) for future in futures]
        return outcomes + [failure] * (len(events) - len(futures))

    def drop(self) -> None:
        """Give the producer up, with all that it may still try to send; the next `connect` makes a new one."""
        if self._producer is not None:
            self._leave(self._producer)
            self._producer = None

    async def close(self) -> None:
        """Close all connections."""
        self.drop()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _leave(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.get_running_loop().create_task(self._ended(producer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _ended(self, producer: AIOKafkaProducer) -> None:
        """End a producer without a last attempt to send: its own `stop` waits for Kafka, for ever if need be."""
        with contextlib.suppress(Exception):
            await producer.client.close()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(producer._sender.close(), self._deadline)
        producer._closed = True


def _retrieved(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _outcome(future: asyncio.Future[Any], failure: BaseException | None) -> BaseException | None:
    if not future.done():
        return failure or TimeoutError("not acknowledged")
    if future.cancelled():
        return failure or KafkaError("the producer was closed")
    return future.exception()
