"""A Faust transport that moves batches instead of single records.

    from streams.transport import BatchSchema, BatchTransport
    app.transport = app.producer_transport = BatchTransport(app.conf.broker, app)
    topic = app.topic("bot.events", schema=BatchSchema())

An agent on such a topic gets one event a partition and fetched batch; `event.value` is the list of records.
"""

from __future__ import annotations

from typing import Any

from faust import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import AppT, Message

from .consumer import BatchConsumer, BatchFetcher
from .producer import BatchProducer, OutgoingRecord

__all__ = ["BatchConsumer", "BatchProducer", "BatchSchema", "BatchTransport", "OutgoingRecord"]


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the batched consumer and producer."""

    Consumer = BatchConsumer
    Fetcher = BatchFetcher
    Producer = BatchProducer


class BatchSchema(Schema):  # type: ignore[type-arg]  # Faust's type variables are not part of its interface
    """Passes a batch through as it is: decoding is the agent's, once a record."""

    def compile(self, app: AppT, **_: Any) -> Any:
        """Return the function that Faust's conductor calls for every message."""
        create_event = app.create_event

        async def decode(message: Message, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, None, message)

        return decode
