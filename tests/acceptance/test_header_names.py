"""A header's name may be any bytes on a broker; the Kafka client's own parser ends on one that is not UTF-8."""

from __future__ import annotations

import json
from contextlib import ExitStack

from schemas.partitioner import partition_of
from tests.support import log, raw_headers
from tests.support.installation import Installation

USER = "7"


def message(number: int) -> bytes:
    """A message of the user's."""
    event = {
        "specversion": "1.0",
        "id": f"m{number}",
        "source": "/bots/test",
        "type": "botpulse.message.received.v1",
        "subject": USER,
        "time": "2026-01-02T03:04:05Z",
        "data": {"kind": "text"},
    }
    return json.dumps(event).encode()


async def test_both_services_refuse_the_record_and_go_on(installation: Installation) -> None:
    servers, topics = installation.stack.bootstrap_servers, installation.topics
    key = USER.encode()
    place = partition_of(key, 4)
    names = [b"traceparent", b"\xff\xfename", b"gut\xe9", b"x-\xe2\x82\xac"]
    for first, codec in ((0, raw_headers.NO_COMPRESSION), (len(names), raw_headers.GZIP)):
        records = [(key, message(first + n), name) for n, name in enumerate(names)]
        await raw_headers.publish(servers, topics.events.name, place, records, codec)
    with ExitStack() as running:
        streams, projections = installation.start("streams", running), installation.start("projections", running)
        await installation.botpulse("wait", "--timeout=60")
        assert streams.terminate() == 0
        assert projections.terminate() == 0
    assert (await log.aggregates(servers, topics))[USER]["messages"] == 4
    assert await installation.value("SELECT lifetime_messages FROM botpulse.users WHERE telegram_id = 7") == 4
    invalid = await installation.value("SELECT sum(invalid) FROM botpulse.checkpoints")
    assert invalid == 4
    letters = await log.read_all(servers, topics.dead_letters.name)
    found = [(int(log.header(letter, "dl-offset") or b""), letter.headers[0][0], letter.value) for letter in letters]
    assert found == [
        (offset, name, message(offset))
        for offset, name in zip((1, 2, 5, 6), [r"\xff\xfename", r"gut\xe9"] * 2, strict=True)
    ]
    assert {log.header(letter, "dl-reason") for letter in letters} == {b"content_type"}
