"""`botpulse publish` and `botpulse simulate` on a real Kafka: what they say is on the log is there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deploy.local import StackInfo
from deploy.reading import read_all
from schemas.codec import CONTENT_TYPE_HEADER, Decoder
from schemas.errors import InvalidEvent
from schemas.partitioner import partition_of
from schemas.topics import Topics
from tests.conftest import TEST_PARTITIONS
from tests.support.cli import botpulse

EXAMPLE = {
    "specversion": "1.0",
    "id": "01JD",
    "source": "/bots/demo",
    "type": "botpulse.payment.succeeded.v1",
    "subject": "123456789",
    "time": "2026-01-02T03:04:05.678Z",
    "datacontenttype": "application/json",
    "data": {"charge_id": "ch_1", "provider": "stripe", "method": "card", "amount_cents": 999, "credits": 100},
}


def settings(stack: StackInfo, topics: Topics) -> dict[str, str]:
    return {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}


async def log_of(stack: StackInfo, topics: Topics) -> list[Any]:
    return [record async for record in read_all(stack.bootstrap_servers, topics.events)]


async def test_the_contracts_example_is_published_as_it_stands(
    stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(EXAMPLE, indent=2))
    ran = await botpulse(settings(stack, topics), "publish", str(file))
    assert ran.status == 0, ran.err
    (record,) = await log_of(stack, topics)
    assert record.value == file.read_bytes()
    assert record.key == b"123456789"
    assert record.partition == partition_of(b"123456789", TEST_PARTITIONS)
    assert tuple(record.headers) == (CONTENT_TYPE_HEADER,)
    # The broker's time, not ours.
    assert record.timestamp_type == 1


async def test_refusals_are_named_by_line_and_the_rest_is_published(stack: StackInfo, topics: Topics) -> None:
    charge = EXAMPLE["data"]
    lines = [
        EXAMPLE,
        {**EXAMPLE, "id": "2", "data": {**charge, "amount_cents": "999"}},  # type: ignore[dict-item]
        "rubbish",
        {**EXAMPLE, "id": "3", "subject": "0123"},
        {**EXAMPLE, "id": "4", "time": "2999-01-01T00:00:00Z"},
        {**EXAMPLE, "id": "5", "data": {**charge, "amount_cents": 1_000_001}},  # type: ignore[dict-item]
        {**EXAMPLE, "id": "6", "subject": "7"},
    ]
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    ran = await botpulse(settings(stack, topics), "publish", "-", "--json", stdin=text.encode())
    assert ran.status == 1
    assert ran.json["published"] == 2
    assert [(refusal["line"], refusal["reason"]) for refusal in ran.json["refused"]] == [
        (2, "data"),
        (3, "syntax"),
        (4, "envelope"),
        (5, "time"),
        (6, "limit"),
    ]
    assert [line.split(":")[0] for line in ran.err.splitlines()] == ["line 2", "line 3", "line 4", "line 5", "line 6"]
    assert {json.loads(record.value)["id"] for record in await log_of(stack, topics)} == {"01JD", "6"}


async def test_what_a_user_does_wrong_is_one_line(stack: StackInfo, topics: Topics) -> None:
    for arguments, names in (
        (({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "publish", "-"), "KAFKA_BOOTSTRAP_SERVERS"),
        (({"BOTPULSE_HOME": "/nonexistent"}, "publish", "-"), "botpulse up"),
        ((settings(stack, topics), "publish", "/no/such/file"), "/no/such/file"),
        ((settings(stack, Topics("nobody.")), "publish", "-"), "botpulse topics apply"),
        ((settings(stack, topics), "simulate", "--faults", "wrong"), "--faults"),
        ((settings(stack, topics), "simulate", "--expect", "/no/such/file"), "/no/such/file"),
        ((settings(stack, topics), "simulate", "--end", "tomorrow"), "--end"),
    ):
        ran = await botpulse(arguments[0], *arguments[1:])
        assert (ran.status, ran.out) == (2, ""), ran
        assert len(ran.err.splitlines()) == 1
        assert names in ran.err


async def test_a_simulation_is_on_the_log_as_its_books_say(stack: StackInfo, topics: Topics, tmp_path: Path) -> None:
    books = tmp_path / "books.json"
    arguments = ("--users", "50", "--events", "3000", "--seed", "5", "--days", "7")
    faults = "duplicates=0.05,copies=0.3,conflicts=0.1,late=0.05,refund_first=0.5,poison=0.02"
    ran = await botpulse(
        settings(stack, topics), "simulate", *arguments, "--faults", faults, "--expect", str(books), "--json"
    )
    assert ran.status == 0, ran.err
    report = json.loads(books.read_text())
    records = await log_of(stack, topics)
    assert len(records) == ran.json["records"] == report["counts"]["records"] > 3000
    decoder = Decoder(TEST_PARTITIONS)
    refused: Counter[str] = Counter()
    identities = set()
    for record in records:
        shaped = SimpleNamespace(**{name: getattr(record, name) for name in ("topic", "partition", "offset")})
        shaped.__dict__.update(timestamp=record.timestamp, key=record.key, value=record.value, headers=record.headers)
        try:
            event = decoder.decode(shaped)
        except InvalidEvent as error:
            refused[error.reason.value] += 1
        else:
            identities.add((event.source, event.id, event.time))
    counts = report["counts"]
    assert dict(refused) == counts["refused_by_reason"]
    assert len(identities) == counts["events"] + counts["conflicts"]


async def test_a_simulation_in_a_file_can_be_published(stack: StackInfo, topics: Topics, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    arguments = ("--users", "20", "--events", "1000", "--end", "2026-02-01T00:00:00Z", "--out", str(file))
    for _ in range(2):
        ran = await botpulse({}, "simulate", *arguments)
        assert ran.status == 0, ran.err
        content = file.read_bytes()
    assert content == file.read_bytes()
    published = await botpulse(settings(stack, topics), "publish", str(file), "--json")
    assert published.json == {"published": 1000, "refused": []}
    assert Counter(record.value for record in await log_of(stack, topics)) == Counter(content.splitlines())
