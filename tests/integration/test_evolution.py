"""A log of several versions of one event, rebuilt: decoded, folded, written into the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import asyncpg
import pytest

from projections.database import open_connection
from projections.verify.rows import Rows
from schemas.codec import Decoder, encode
from schemas.events import BotEvent, SubscriptionCancelled
from tests.support.folding import apply_split, arrivals, expected, tables
from tests.unit.schemas.support import EXAMPLES, PARTITIONS, record

DECODER = Decoder(PARTITIONS)


def documents() -> Iterator[dict[str, Any]]:
    """Every golden example of a subscription's life in every version, for three users."""
    ids = count()
    for user in (101, 102, 103):
        for path in sorted((EXAMPLES / "subscription").rglob("*.json")):
            document = json.loads(path.read_bytes())
            yield {**document, "id": f"{document['id']}-{next(ids)}", "subject": str(user)}


async def rebuilt(database_url: str, events: list[BotEvent]) -> Rows:
    connection: asyncpg.Connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await apply_split(connection, arrivals(events), cuts=[7, 8])
        return await tables(connection)
    finally:
        await transaction.rollback()
        await connection.close()


async def test_a_mixed_log_is_rebuilt_as_if_all_of_it_were_of_the_newest_version(database_url: str) -> None:
    sent = list(documents())
    assert {document["type"] for document in sent} >= {
        "botpulse.subscription.cancelled.v1",
        "botpulse.subscription.cancelled.v2",
    }
    mixed = [DECODER.decode(record(document)) for document in sent]
    cancelled = [event for event in mixed if "cancelled" in event.type]
    assert {type(event) for event in cancelled} == {SubscriptionCancelled}
    assert len(cancelled) == 12
    newest = [DECODER.decode(record(encode(event))) for event in mixed]
    assert newest == mixed

    rows = await rebuilt(database_url, mixed)
    assert rows == await rebuilt(database_url, newest)
    for table, wanted in expected(arrivals(mixed)).items():
        assert rows[table] == wanted, table
    assert len(rows["users"]) == 3


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_golden_examples_of_each_version_stay(version: str) -> None:
    folder = EXAMPLES / "subscription" / "cancelled" / version
    assert {path.name for path in folder.iterdir()} >= {"full.json", "minimal.json"}
