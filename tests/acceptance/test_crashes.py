"""kill -9 of either service in the middle of a run: the totals stay exact."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.demo.agreement import check
from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support import log
from tests.support.services import Service, eventually, service

EVENTS = 20_000
FAULTS = "duplicates=0.01,late=0.05,refund_first=0.3,poison=0.002,conflicts=0.002"


class Installation:
    """Topics and a database of one test, its commands and its services."""

    def __init__(self, stack: StackInfo, topics: Topics, database_url: str, folder: Path) -> None:
        self.stack = stack
        self.topics = topics
        self.database_url = database_url
        self.folder = folder
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "DATABASE_URL": database_url,
            "BOTPULSE_TOPIC_PREFIX": topics.prefix,
            "STREAMS_SESSION_TIMEOUT_SECONDS": "3",
        }
        self._started = 0

    async def botpulse(self, *arguments: str, status: int = 0, standard_input: str = "") -> str:
        """Run the command; returns what it printed, both streams together."""

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [str(Path(sys.executable).with_name("botpulse")), *arguments],
                env={**os.environ, **self.environment},
                input=standard_input,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
                check=False,
            )

        done = await asyncio.to_thread(run)
        assert done.returncode == status, done.stdout
        return done.stdout

    def start(self, module: str, running: ExitStack) -> Service:
        """Start a service that ends with `running` at the latest."""
        self._started += 1
        path = self.folder / f"{module}-{self._started}.log"
        return running.enter_context(service(module, self.environment, path))

    async def folded(self) -> int:
        """How many records streams has committed."""
        return sum((await log.committed(self.stack.bootstrap_servers, self.topics.streams_group)).values())

    async def projected(self) -> int:
        """How many records of bot.events the projections have committed."""
        return int(
            await self.value(
                "SELECT coalesce(sum(next_offset), 0) FROM botpulse.checkpoints WHERE topic = $1",
                self.topics.events.name,
            )
        )

    async def value(self, statement: str, *arguments: Any) -> Any:
        """One value from the database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()


@pytest.fixture
def installation(stack: StackInfo, topics: Topics, database_url: str, tmp_path: Path) -> Installation:
    return Installation(stack, topics, database_url, tmp_path)


async def test_totals_are_exact_when_each_service_is_killed_in_the_middle(installation: Installation) -> None:
    books = installation.folder / "books.json"
    await installation.botpulse(
        "simulate", f"--events={EVENTS}", "--users=300", "--seed=7", f"--faults={FAULTS}", f"--expect={books}"
    )

    def beyond(count: Callable[[], Any], share: float) -> Callable[[], Any]:
        async def condition() -> bool:
            return bool(await count() > EVENTS * share)

        return condition

    with ExitStack() as running:
        streams, projections = installation.start("streams", running), installation.start("projections", running)
        await eventually(beyond(installation.folded, 0.1), "streams is in the middle")
        streams.kill()
        await eventually(beyond(installation.projected, 0.1), "projections is in the middle")
        projections.kill()
        streams, projections = installation.start("streams", running), installation.start("projections", running)
        await installation.botpulse("wait", "--timeout=120")
        assert streams.terminate() == 0
        assert projections.terminate() == 0

    connection = await asyncpg.connect(installation.database_url)
    try:
        report = json.loads(books.read_text())
        agreement = await check(report, connection, installation.stack.bootstrap_servers, installation.topics)
    finally:
        await connection.close()
    assert agreement.differences == []
    assert agreement.users == 300
    changes = await installation.value("SELECT count(*) FROM botpulse.tier_history")
    sent = await log.read_all(installation.stack.bootstrap_servers, installation.topics.tier_changes.name)
    assert changes == len({json.loads(record.value)["id"] for record in sent})
    letters = await log.read_all(installation.stack.bootstrap_servers, installation.topics.dead_letters.name)
    refused = {(log.header(letter, "dl-partition"), log.header(letter, "dl-offset")) for letter in letters}
    assert len(refused) == report["counts"]["refused"] + report["counts"]["conflicts"]
