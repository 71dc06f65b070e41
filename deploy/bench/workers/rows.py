"""The projection that comes to mind first: for every event an upsert, for a payment two more.

It keeps no checkpoint, checks nothing and knows none of the rest of the tables: the least that such a consumer does.
With BOTPULSE_BENCH_COMMIT=each every event is a transaction of its own, with `batch` every fetch of 500 is one.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.bench.workers import settings
from projections import sql

BATCH_RECORDS = 500


async def run() -> None:
    """Work until killed."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap_servers(), enable_auto_commit=False)
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    user, day, payment = [
        await connection.prepare(sql.query("bench", name)) for name in ("upsert_user", "upsert_day", "upsert_payment")
    ]
    counter = settings.counter()
    each = os.environ["BOTPULSE_BENCH_COMMIT"] == "each"
    done = 0

    async def apply(event: dict[str, Any]) -> None:
        if not event["subject"].isdigit():
            return
        telegram_id, at, data = int(event["subject"]), datetime.fromisoformat(event["time"]), event["data"]
        paid = event["type"] == "botpulse.payment.succeeded.v1"
        cents = data["amount_cents"] if paid else 0
        async with AsyncExitStack() as stack:
            if each and paid:
                await stack.enter_async_context(connection.transaction())
            await user.fetch(telegram_id, int(event["type"] == "botpulse.message.received.v1"), cents, at)
            if paid:
                await day.fetch(at.date(), cents)
                await payment.fetch(data["charge_id"], telegram_id, cents, at)

    await consumer.start()
    places = [TopicPartition(settings.topic(), number) for number in range(settings.partitions())]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    while True:
        fetched = await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
        async with AsyncExitStack() as stack:
            if not each:
                await stack.enter_async_context(connection.transaction())
            for records in fetched.values():
                for record in records:
                    await apply(orjson.loads(record.value))
                    if each:
                        done += 1
                        counter.set(done)
        if not each:
            done += sum(map(len, fetched.values()))
            counter.set(done)


if __name__ == "__main__":
    uvloop.run(run())
