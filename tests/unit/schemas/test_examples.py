"""The golden examples: every event type has them, and they parse for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.codec import encode
from schemas.events import EVENT_TYPES, TierChanged
from schemas.upcasters import UPCASTERS, upcast

from .support import DECODER, EXAMPLES, TIER_DECODER, as_sent, record

PATHS = sorted(EXAMPLES.rglob("*.json"))
CLASSES = {**EVENT_TYPES, "botpulse.tier.changed.v1": TierChanged}

OLDER = {event_class.model_fields["type"].default for event_class in UPCASTERS}

CONTRACT = """\
{"specversion": "1.0", "id": "01JD…", "source": "/bots/demo", "type": "botpulse.payment.succeeded.v1",
 "subject": "123456789", "time": "2026-01-02T03:04:05.678Z", "datacontenttype": "application/json",
 "data": {"charge_id": "ch_1", "provider": "stripe", "method": "card", "amount_cents": 999, "credits": 100}}
"""


def test_every_type_has_a_minimal_and_a_full_example() -> None:
    by_type: dict[str, set[str]] = {}
    for path in PATHS:
        family, fact, version, name = path.relative_to(EXAMPLES).with_suffix("").parts
        by_type.setdefault(f"botpulse.{family}.{fact}.{version}", set()).add(name)
    assert by_type.keys() == CLASSES.keys()
    for names in by_type.values():
        assert names >= {"minimal", "full"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_example(path: Path) -> None:
    document = json.loads(path.read_bytes())
    decoder = TIER_DECODER if "/tier/" in path.as_posix() else DECODER
    read = decoder.decode(record(path.read_bytes()))
    older = document["type"] in OLDER
    event = as_sent(path.read_bytes()) if older else read
    assert type(event) is CLASSES[document["type"]]
    assert read == (upcast(event) if older else event)
    assert path.relative_to(EXAMPLES).parts[:3] == tuple(document["type"].split(".")[1:])

    written = json.loads(encode(event))
    assert decoder.decode(record(encode(event))) == read
    # Only the time's trailing zeros may be written another way.
    assert written.pop("time").rstrip("Z").rstrip("0").rstrip(".") == document.pop("time").rstrip("Z")
    assert written == document

    if path.stem == "full" and event.data is not None:
        assert event.data.model_fields_set == set(type(event.data).model_fields)
    if path.stem == "minimal" and event.data is not None:
        required = {name for name, field in type(event.data).model_fields.items() if field.is_required()}
        assert event.data.model_fields_set == required


def test_the_contracts_own_example() -> None:
    path = EXAMPLES / "payment" / "succeeded" / "v1" / "contract.json"
    assert path.read_bytes() == CONTRACT.encode()
