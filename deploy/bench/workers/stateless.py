"""A plain agent on the batched transport of `streams`: every event is decoded by the contract, and that is all."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from typing import Any

import faust
import uvloop

from deploy.bench.workers import settings
from schemas.codec import Decoder
from streams.transport import BatchSchema, BatchTransport
from streams.worker import COMMIT_SECONDS, GC_THRESHOLDS, MAX_BATCH_RECORDS, MAX_FETCH_BYTES


def build() -> faust.App:
    """The app, with the settings of the stream service."""
    app = faust.App(
        settings.group(),
        broker=f"kafka://{settings.bootstrap_servers()}",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_commit_interval=COMMIT_SECONDS,
        broker_max_poll_records=MAX_BATCH_RECORDS,
        consumer_max_fetch_size=MAX_FETCH_BYTES,
    )
    app.transport = app.producer_transport = BatchTransport(app.conf.broker, app)
    decoder = Decoder(settings.partitions())
    counter = settings.counter()

    async def agent(stream: Any) -> None:
        done = 0
        async for event in stream.noack().events():
            consumer: Any = app.consumer
            if consumer.take(event.message):
                for record in event.value:
                    decoder.decode_plain(record, event.message.partition)
                done += len(event.value)
                counter.set(done)
                consumer.ack(event.message)

    app.agent(app.topic(settings.topic(), schema=BatchSchema()), name="decode")(agent)
    return app


async def run() -> None:
    """Work until SIGTERM."""
    app = build()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await app.start()
    await app.wait(stop.wait())
    await app.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    gc.set_threshold(*GC_THRESHOLDS)
    uvloop.run(run())
