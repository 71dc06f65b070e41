"""Faust as it comes: an agent with a Table in memory, JSON, every setting at its default.

It does less than the stream service: two sums a user, without validation or tiers, as Faust's own guide shows it.
"""

from __future__ import annotations

import sys
from typing import Any

import faust

from deploy.bench.workers import settings

app = faust.App(
    settings.group(),
    broker=f"kafka://{settings.bootstrap_servers()}",
    topic_partitions=settings.partitions(),
    store="memory://",
)
events = app.topic(settings.topic(), key_type=bytes, value_serializer="json")
users = app.Table("users", default=dict)
counter = settings.counter()


@app.agent(events)
async def fold(stream: Any) -> None:
    """Count a user's events and cents."""
    done = 0
    async for event in stream:
        subject = event["subject"]
        user = users[subject]
        users[subject] = {
            "count": user.get("count", 0) + 1,
            "cents": user.get("cents", 0) + event["data"].get("amount_cents", 0),
        }
        done += 1
        counter.set(done)


if __name__ == "__main__":
    # `info`: at `warning` the root logger is left at DEBUG, and Faust is slower for it.
    sys.argv = ["faust", "worker", "--loglevel", "info", "--without-web"]
    app.main()
