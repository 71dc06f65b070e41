"""How the service starts, or says in one line why it can't; what it serves while it runs."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support.counting import BAD_CREDITS
from tests.support.http import get
from tests.support.polling import until
from tests.support.projecting import Bench, Worker, bench, grant, grants


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    async with bench(stack.bootstrap_servers, topics, database_url) as made:
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def elsewhere(url: str, **parts: Any) -> str:
    """The URL with another user:password, port or database."""
    old = urlsplit(url)
    user = parts.get("user", old.netloc.rpartition("@")[0])
    port = parts.get("port", old.port)
    return urlunsplit(old._replace(netloc=f"{user}@127.0.0.1:{port}", path=parts.get("path", old.path)))


async def refuses(worker: Worker, *said: str) -> None:
    """It ends with status 2 and one line that has all of `said`, and no traceback."""
    assert await worker.ended(15) == 2, worker.said()
    lines = worker.said().strip().splitlines()
    for part in said:
        assert part in lines[-1]
    assert "Traceback" not in worker.said()
    assert len(lines) == 1, lines


async def test_nobody_answers_for_postgres(work: Bench) -> None:
    url = elsewhere(work.database_url, port=free_port())
    await refuses(work.start(DATABASE_URL=url), "DATABASE_URL", "no Postgres answers", "botpulse up")


async def test_a_wrong_password(work: Bench) -> None:
    url = elsewhere(work.database_url, user="botpulse:guessed")
    worker = work.start(DATABASE_URL=url)
    await refuses(worker, "DATABASE_URL", "user or the password")
    assert "guessed" not in worker.said()


async def test_the_setting_that_is_used_is_named(work: Bench) -> None:
    url = elsewhere(work.database_url, user="botpulse:guessed")
    await refuses(work.start(PROJECTIONS_DATABASE_URL=url), "PROJECTIONS_DATABASE_URL")


async def test_no_such_database(work: Bench) -> None:
    await refuses(work.start(DATABASE_URL=elsewhere(work.database_url, path="/nowhere")), "no such database")


async def test_not_a_postgres_url(work: Bench) -> None:
    await refuses(work.start(DATABASE_URL="mysql://root@127.0.0.1/x"), "DATABASE_URL", "postgresql://")


async def test_an_unmigrated_database(work: Bench, empty_database_url: str) -> None:
    await refuses(work.start(DATABASE_URL=empty_database_url), "DATABASE_URL", "botpulse migrate")


async def test_a_database_of_newer_code(work: Bench) -> None:
    await work.query("INSERT INTO schema_migrations VALUES (9999, 'future', repeat('0', 64))")
    await refuses(work.start(), "9999_future", "newer than this code")


async def test_nobody_answers_for_kafka(work: Bench) -> None:
    worker = work.start(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    await refuses(worker, "KAFKA_BOOTSTRAP_SERVERS", "no Kafka broker answers", "botpulse up")


async def test_not_a_kafka_address(work: Bench) -> None:
    await refuses(work.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:port"), "KAFKA_BOOTSTRAP_SERVERS")


async def test_missing_topics(work: Bench) -> None:
    worker = work.start(BOTPULSE_TOPIC_PREFIX="nobody.")
    await refuses(worker, "nobody.bot.events", "botpulse topics apply", "BOTPULSE_TOPIC_PREFIX")


@pytest.mark.parametrize("setting", ["KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"])
async def test_a_missing_setting(work: Bench, setting: str) -> None:
    await refuses(work.start(**{setting: ""}), setting, "botpulse up")


async def test_a_wrong_number(work: Bench) -> None:
    await refuses(work.start(PROJECTIONS_BATCH_RECORDS="many"), "PROJECTIONS_BATCH_RECORDS")


async def test_a_port_in_use(work: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        worker = work.start(PROJECTIONS_HTTP_PORT=str(taken.getsockname()[1]))
        await refuses(worker, "PROJECTIONS_HTTP_PORT")


async def test_what_is_served(work: Bench) -> None:
    port = free_port()
    worker = work.start(PROJECTIONS_HTTP_PORT=str(port))
    await until(lambda: get(port, "/readyz") == (200, "ready\n"), "readiness")
    assert get(port, "/livez")[0] == 200
    assert '"version"' in get(port, "/version")[1]
    assert get(port, "/nothing")[0] == 404
    await work.send([*grants([1], range(3)), grant(1, 2), (b"1", b"poison"), grant(1, 9, worth=BAD_CREDITS)])
    await work.caught_up()
    await until(lambda: get(port, "/readyz")[0] == 503, "red readiness")
    _, metrics = get(port, "/metrics")
    for line in (
        'botpulse_projections_events_total{outcome="applied"} 3.0',
        'botpulse_projections_events_total{outcome="duplicate"} 1.0',
        'botpulse_projections_events_total{outcome="invalid"} 1.0',
        'botpulse_projections_events_total{outcome="refused"} 1.0',
        'botpulse_projections_invalid_total{reason="syntax"} 1.0',
        "botpulse_projections_open_refusals 1.0",
    ):
        assert line in metrics
    worker.signal(signal.SIGINT)
    assert await worker.ended(10) == 0
