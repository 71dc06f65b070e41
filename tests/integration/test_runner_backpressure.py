"""A Postgres that is away stops the fetching: memory stays flat whatever arrives, and nothing is skipped afterwards."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from deploy.local import StackInfo
from schemas.codec import encode
from schemas.topics import Topics
from tests.integration.test_runner_start import free_port, get
from tests.support.polling import until
from tests.support.projecting import Bench, Worker, bench, grant, grants
from tests.support.proxy import proxy

MEGABYTE = 1024 * 1024
PADDING = "x" * (32 * 1024)
ARRIVING = 6_000
"""With their padding some 190 MB."""
MOST_GROWTH = 120 * MEGABYTE
"""The batch in hand, the one that is ready, what the client has fetched ahead, each with what it is decoded to."""


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    async with bench(stack.bootstrap_servers, topics, database_url) as made:
        yield made


def padded(number: int) -> tuple[bytes, bytes]:
    """An event as large as a record may well be: members that nobody knows are ignored, and carried all the same."""
    event = grant(1 + number % 10, 100 + number)
    return event.subject.encode(), orjson.dumps({**orjson.loads(encode(event)), "padding": PADDING})


def peak_bytes(worker: Worker) -> int:
    """The most memory that the process ever held."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


async def test_memory_stays_flat_while_postgres_is_away_and_nothing_is_skipped(work: Bench) -> None:
    async with proxy(work.database_url) as (line, url):
        port = free_port()
        worker = work.start(DATABASE_URL=url, PROJECTIONS_HTTP_PORT=str(port))
        await work.send(grants(range(1, 11), range(10)))
        await work.caught_up()
        await until(lambda: get(port, "/readyz")[0] == 200, "readiness")
        before = peak_bytes(worker)
        line.away = True
        line.cut_all()
        await until(lambda: get(port, "/readyz")[0] == 503, "red readiness")
        for start in range(0, ARRIVING, 500):
            await work.send([padded(number) for number in range(start, start + 500)])
        assert "Postgres is away" in get(port, "/readyz")[1]
        line.away = False
        await work.caught_up(60)
        await until(lambda: get(port, "/readyz")[0] == 200, "readiness")
    assert peak_bytes(worker) - before < MOST_GROWTH
    assert (await work.counted()) == dict.fromkeys(range(1, 11), 10 + ARRIVING // 10)
    totals = await work.totals()
    assert (totals["applied"], totals["duplicates"], totals["invalid"]) == (100 + ARRIVING, 0, 0)
