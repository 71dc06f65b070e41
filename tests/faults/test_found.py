"""What the campaign has found, each as the smallest case that shows it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

import projections.preflight
import projections.service
import streams.preflight
from deploy.local import LocalStack, StackInfo
from projections.settings import Settings as ProjectionsSettings
from schemas.errors import ConfigurationError, ServiceStopped
from schemas.topics import Topics
from streams.settings import Settings as StreamsSettings
from tests.support import cli, log
from tests.support.databases import execute
from tests.support.services import eventually, service


@pytest.mark.parametrize("losses", [2, 1_000])
async def test_a_database_that_ends_while_projections_starts(
    database_url: str, monkeypatch: pytest.MonkeyPatch, losses: int
) -> None:
    connect = projections.preflight.connect  # type: ignore[attr-defined]
    lost = 0

    async def then_lose(*arguments: Any, **options: Any) -> asyncpg.Connection:
        nonlocal lost
        connection = await connect(*arguments, **options)
        if lost < losses:
            lost += 1
            await execute(database_url, f"SELECT pg_terminate_backend({connection.get_server_pid()})")
        return connection

    monkeypatch.setattr(projections.preflight, "connect", then_lose)
    monkeypatch.setattr(projections.preflight, "PATIENCE_SECONDS", 1.5)
    settings = ProjectionsSettings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", DATABASE_URL=database_url)
    if losses > 2:
        with pytest.raises(ServiceStopped, match="DATABASE_URL"):
            await projections.preflight.open_database(settings)
        assert lost > 2
    else:
        connection = await projections.preflight.open_database(settings)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_a_broker_that_ends_while_streams_starts(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = AIOKafkaAdminClient.start

    async def then_lose(client: AIOKafkaAdminClient) -> None:
        await start(client)
        await asyncio.to_thread(local_stack.kill_broker)

    settings = StreamsSettings(KAFKA_BOOTSTRAP_SERVERS=stack.bootstrap_servers, BOTPULSE_TOPIC_PREFIX=topics.prefix)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(AIOKafkaAdminClient, "start", then_lose)
            with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS"):
                await streams.preflight.check_topics(settings)
    finally:
        await asyncio.to_thread(local_stack.restart_broker)


GOES_AWAY = """
import aiokafka, streams.restore
from aiokafka.errors import KafkaConnectionError

async def away(*_):
    raise KafkaConnectionError("Unable to bootstrap")

{patched} = away
from streams.__main__ import main
main()
"""


@pytest.mark.parametrize("patched", ["aiokafka.AIOKafkaConsumer.start", "streams.restore.Restorer.restore"])
async def test_a_broker_that_ends_after_the_checks_of_a_start_of_streams(
    stack: StackInfo, topics: Topics, tmp_path: Path, patched: str
) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}
    command = [sys.executable, "-c", GOES_AWAY.format(patched=patched)]
    process = await asyncio.create_subprocess_exec(
        *command, env=cli.environment(environment), cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode == 1, said.decode()
    assert b"Traceback" not in said
    assert b"KAFKA_BOOTSTRAP_SERVERS" in said.strip().splitlines()[-1]


async def test_a_cancellation_from_within_is_no_stop_of_projections() -> None:
    class Cancelled:
        async def run(self) -> None:
            raise asyncio.CancelledError

        def stop(self) -> None: ...

    with pytest.raises(ServiceStopped):
        await projections.service._until_signal(Cancelled())  # type: ignore[arg-type]


async def test_streams_ends_on_sigterm_while_the_broker_is_frozen(
    stack: StackInfo, topics: Topics, tmp_path: Path, local_stack: LocalStack
) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}
    found = local_stack.find()
    assert found is not None
    await _publish(stack, topics, 20_000)
    with service("streams", environment, tmp_path / "streams.log") as running:
        await eventually(lambda: "at work" in running.output, "streams is at work")
        os.kill(found.kafka_pid, signal.SIGSTOP)  # in the middle of its batches
        try:
            running.process.terminate()
            await running.exited(20)
        finally:
            os.kill(found.kafka_pid, signal.SIGCONT)
        assert "Traceback" not in running.output


STOP_THAT_WAITS = """
import asyncio
from streams.worker import Worker

async def stop(_):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

Worker.stop = stop
"""
FETCH_THAT_IS_CANCELLED = """
import asyncio
from aiokafka.consumer.fetcher import Fetcher

close = Fetcher.close

async def passed_on(fetcher):
    await close(fetcher)
    raise asyncio.CancelledError

Fetcher.close = passed_on
"""


@pytest.mark.parametrize(
    ("change", "status", "last"),
    [(STOP_THAT_WAITS, 1, "not durable within"), (FETCH_THAT_IS_CANCELLED, 0, "stopped")],
    ids=["a stop that loses its cancellation", "a fetch that passes its cancellation on"],
)
async def test_streams_ends_on_sigterm_whatever_becomes_of_a_cancellation(
    stack: StackInfo, topics: Topics, tmp_path: Path, change: str, status: int, last: str
) -> None:
    # Both happened when the broker was killed just before the signal.
    environment = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}
    output = tmp_path / "streams.log"
    code = f"{change}\nfrom streams.__main__ import main\nmain()"
    with output.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env=cli.environment(environment), cwd=tmp_path, stderr=said
        )
    try:
        await eventually(lambda: "at work" in output.read_text(), "streams is at work")
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == status
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert last in output.read_text().splitlines()[-1]
    assert "Traceback" not in output.read_text()


BLIND_UNTIL_TOLD = """
import os
from aiokafka.cluster import ClusterMetadata

told = ClusterMetadata.update_metadata

def blind(cluster, metadata):
    if not os.path.exists("see"):
        metadata.topics = [topic for topic in metadata.topics if not any(str(m).endswith("bot.events") for m in topic)]
    return told(cluster, metadata)

ClusterMetadata.update_metadata = blind
from streams.__main__ import main
main()
"""


async def test_streams_gets_its_partitions_when_the_broker_knows_of_them_again(
    stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}
    output = tmp_path / "streams.log"
    with output.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BLIND_UNTIL_TOLD, env=cli.environment(environment), cwd=tmp_path, stderr=said
        )
    try:
        await eventually(lambda: '"partitions": []' in output.read_text(), "it was dealt no partition")
        (tmp_path / "see").touch()
        await eventually(lambda: '"partitions": [0' in output.read_text(), "it was dealt all of them")
    finally:
        process.kill()
        await process.wait()


async def _publish(stack: StackInfo, topics: Topics, count: int) -> None:
    event = {
        "specversion": "1.0", "source": "/tests", "type": "botpulse.message.received.v1",
        "time": "2026-01-02T03:04:05Z", "datacontenttype": "application/json", "data": {"kind": "text"},
    }  # fmt: skip
    events = ({**event, "id": str(number), "subject": str(1 + number % 50)} for number in range(count))
    await log.publish(stack.bootstrap_servers, topics, events)
