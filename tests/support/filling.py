"""A database filled with very many simulated events, by the projections' own folds: no Kafka, two processes.

python -m tests.support.filling URL EVENTS USERS SEED PARITY
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from deploy.simulate import Faults, Plan, simulate
from projections.batch import Arrival
from projections.checkpoints import Place
from projections.database import open_connection
from projections.intake import decode
from projections.registry import apply
from schemas.codec import Decoder
from schemas.records import CONTENT_TYPE_HEADER

ROOT = Path(__file__).parents[2]
BATCH: Final = 20_000
START: Final = datetime(2026, 4, 1, tzinfo=UTC)
TOPIC: Final = "bot.events"
FAULTS: Final = Faults(
    copies=0.05,
    conflicts=0.02,
    late=0.02,
    reorder=0.02,
    refund_first=0.3,
    closing_first=0.3,
    spend_first=0.1,
    orphans=0.01,
)
"""Everything that may happen to valid events that arrive once."""


class Record(NamedTuple):
    """A record as the decoders take it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any = (CONTENT_TYPE_HEADER,)


def plan(events: int, users: int, seed: int) -> Plan:
    """Sixty days that end at START, with every fault but duplicates and poison."""
    return Plan(users, events, seed, START, 60, FAULTS)


def batches(what: Plan, parity: int) -> Iterator[list[Arrival]]:
    """The events of every second user (and of no content), in the order of the log.

    Each half is a partition of its own: two writers of one might both begin its audit chain.
    """
    decoder, batch = Decoder(1).decode, []
    place = Place(TOPIC, parity)
    appended = int((START + timedelta(hours=1)).timestamp() * 1000)
    for offset, emission in enumerate(simulate(what)):
        key = emission.key or b""
        if key.isdigit() and int(key) % 2 == parity:
            batch.append(Record(TOPIC, 0, offset, appended + offset, key, emission.value))
        if len(batch) == BATCH:
            yield decode(batch, place, decoder)[0]
            batch = []
    if batch:
        yield decode(batch, place, decoder)[0]


async def fill_half(url: str, what: Plan, parity: int) -> None:
    """Apply one half of the users' events."""
    connection = await open_connection(url, application_name="filling", lock_timeout_ms=60_000)
    try:
        for batch in batches(what, parity):
            async with connection.transaction():
                await apply(connection, batch)
    finally:
        await connection.close()


async def fill(url: str, *, events: int, users: int, seed: int) -> None:
    """Fill a migrated database, on two processors."""

    def half(parity: int) -> None:
        arguments = [url, *map(str, (events, users, seed, parity))]
        subprocess.run([sys.executable, "-m", "tests.support.filling", *arguments], cwd=ROOT, check=True)

    await asyncio.gather(asyncio.to_thread(half, 0), asyncio.to_thread(half, 1))


if __name__ == "__main__":
    target, *numbers = sys.argv[1:]
    many_events, of_users, number, of_half = map(int, numbers)
    asyncio.run(fill_half(target, plan(many_events, of_users, number), of_half))
