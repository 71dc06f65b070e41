"""What the campaign has found, each as the smallest case that shows it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

import projections.preflight
import streams.preflight
from deploy.local import LocalStack, StackInfo
from projections.settings import Settings as ProjectionsSettings
from schemas.errors import ConfigurationError
from schemas.topics import Topics
from streams.settings import Settings as StreamsSettings
from tests.support.databases import execute


async def test_a_database_that_ends_while_projections_starts(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = projections.preflight.connect

    async def then_lose(*arguments: Any, **options: Any) -> asyncpg.Connection:
        connection = await connect(*arguments, **options)
        await execute(database_url, f"SELECT pg_terminate_backend({connection.get_server_pid()})")
        return connection

    monkeypatch.setattr(projections.preflight, "connect", then_lose)
    settings = ProjectionsSettings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", DATABASE_URL=database_url)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        await projections.preflight.open_database(settings)


async def test_a_broker_that_ends_while_streams_starts(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = AIOKafkaAdminClient.start

    async def then_lose(client: AIOKafkaAdminClient) -> None:
        await start(client)
        await asyncio.to_thread(local_stack.kill_broker)

    settings = StreamsSettings(KAFKA_BOOTSTRAP_SERVERS=stack.bootstrap_servers, BOTPULSE_TOPIC_PREFIX=topics.prefix)  # type: ignore[call-arg]
    try:
        with monkeypatch.context() as patch:
            patch.setattr(AIOKafkaAdminClient, "start", then_lose)
            with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS"):
                await streams.preflight.check_topics(settings)
    finally:
        await asyncio.to_thread(local_stack.restart_broker)
