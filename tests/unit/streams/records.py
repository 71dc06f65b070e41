"""Events as records of the log, for tests without a broker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.codec import CONTENT_TYPE_HEADER
from schemas.records import Place

START = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
PLACE = Place("bot.events", 0)
MINUTE = timedelta(minutes=1)


@dataclass
class FakeRecord:
    """The shape of aiokafka's ConsumerRecord."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    topic: str = "bot.events"
    partition: int = 0
    headers: Sequence[tuple[str, bytes]] = field(default_factory=lambda: [CONTENT_TYPE_HEADER])


def event(
    type_: str, data: dict[str, Any], *, at: datetime = START, id_: str, user: int = 7, source: str = "/bot"
) -> dict[str, Any]:
    """An event as the bot would send it; `type_` without prefix and version."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": f"botpulse.{type_}.v1",
        "subject": str(user),
        "time": at.isoformat().replace("+00:00", "Z"),
        "data": data,
    }


def log(events: Sequence[dict[str, Any]], first_offset: int = 0) -> list[FakeRecord]:
    """The events as records one after the other, a millisecond of broker time apart."""
    broker = int((START + timedelta(days=1)).timestamp() * 1000)
    return [
        FakeRecord(first_offset + n, e["subject"].encode(), json.dumps(e).encode(), broker + first_offset + n)
        for n, e in enumerate(events)
    ]


def changelog(*pairs: tuple[bytes, bytes]) -> list[FakeRecord]:
    """Keys and values as records of a changelog, in this order."""
    return [FakeRecord(number, key, value, 0) for number, (key, value) in enumerate(pairs)]
