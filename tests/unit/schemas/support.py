"""Records for the tests, built from the golden examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import schemas
from schemas.codec import Decoder, LogRecord, TierChangeDecoder
from schemas.errors import InvalidEvent
from schemas.events import BotEvent, Event, OlderEvent
from schemas.partitioner import partition_of
from schemas.records import CONTENT_TYPE_HEADER

PARTITIONS = 8
BROKER_MS = 1_767_323_046_000
"""2026-01-02T03:04:06Z, a moment after the examples' `time`."""

EXAMPLES = Path(schemas.__file__).parent / "examples"
TIER_DECODER = TierChangeDecoder(PARTITIONS)


class BothWays(Decoder):
    """Decodes every record as an object and as a dictionary, which have to agree, in what is wrong too."""

    def decode(self, record: LogRecord) -> BotEvent:
        try:
            event = super().decode(record)
        except InvalidEvent as refused:
            reason, detail = refused.reason, refused.detail
        else:
            found = self.decode_plain(record, record.partition)
            assert found == {**event.model_dump(exclude_unset=True), "type": event.type}
            return event
        with pytest.raises(InvalidEvent) as caught:
            self.decode_plain(record, record.partition)
        assert (caught.value.reason, caught.value.detail) == (reason, detail)
        raise caught.value


DECODER = BothWays(PARTITIONS)
_SENT: TypeAdapter[BotEvent | OlderEvent] = TypeAdapter(Event)


@dataclass(frozen=True)
class Record:
    value: bytes | None
    key: bytes | None
    partition: int
    timestamp: int = BROKER_MS
    headers: Sequence[tuple[str, bytes]] = (CONTENT_TYPE_HEADER,)
    topic: str = "bot.events"
    offset: int = 7


def as_sent(value: bytes | str | dict[str, Any]) -> BotEvent | OlderEvent:
    """Return the event in the version that it was sent in, as no reader but the decoder sees it."""
    found: BotEvent | OlderEvent = _SENT.validate_json(json.dumps(value) if isinstance(value, dict) else value)
    return found


def example_path(event_type: str, name: str = "full") -> Path:
    _, family, fact, version = event_type.split(".")
    return EXAMPLES / family / fact / version / f"{name}.json"


def example(event_type: str, name: str = "full") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(example_path(event_type, name).read_text("utf-8"))
    return document


def record(value: bytes | str | dict[str, Any], **changes: Any) -> Record:
    """Return a right record of `value`, on the key of its subject where it has one; then make `changes`."""
    if isinstance(value, dict):
        value = json.dumps(value)
    if isinstance(value, str):
        value = value.encode()
    if "key" not in changes:
        try:
            changes["key"] = json.loads(value)["subject"].encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            changes["key"] = b"123456789"
    changes.setdefault("partition", partition_of(changes["key"] or b"", PARTITIONS))
    return Record(value, **changes)


def with_raw(document: dict[str, Any], path: Sequence[str], raw: str) -> str:
    """Return the document's JSON with the JSON text `raw` at `path`: also what json.dumps would not write."""
    document = json.loads(json.dumps(document))
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = "@raw@"
    return json.dumps(document).replace('"@raw@"', raw)
