"""One installation of the product for a test: topics, database, commands, services."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support import log
from tests.support.services import Service, service


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
