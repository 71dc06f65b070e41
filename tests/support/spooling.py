"""A real publisher without a Kafka: everything it accepts is in its spool, where a test can read it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from schemas.codec import CONTENT_TYPE_HEADER, Decoder
from schemas.publisher import Publisher

NOBODY = "127.0.0.1:1"


@asynccontextmanager
async def spooling(path: Path, source: str = "/bots/test") -> AsyncIterator[Publisher]:
    """A publisher whose Kafka is away for good."""
    async with Publisher(NOBODY, source=source, spool=path) as publisher:
        yield publisher


async def spooled(publisher: Publisher) -> list[dict[str, Any]]:
    """The events in the spool, each checked by the contract's rule, in their order."""
    assert publisher._spool is not None
    decoder, found = Decoder(1), []
    for _, key, value in await publisher._spool.head():
        record = SimpleNamespace(
            topic="", partition=0, offset=0, timestamp=time.time_ns() // 10**6, key=key, value=value
        )
        record.headers = (CONTENT_TYPE_HEADER,)
        decoder.decode(record)
        found.append(json.loads(value))
    return found


def brief(event: dict[str, Any]) -> tuple[str, str, dict[str, Any] | None]:
    """An event's fact, subject and data."""
    return event["type"].removeprefix("botpulse.").rpartition(".")[0], event["subject"], event.get("data")
