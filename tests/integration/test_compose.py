"""Every command of docker-compose.yml as a plain process with the environment that it has there.

Only addresses are others: where Kafka and Postgres are, which ports are free, and a prefix that keeps the topics apart.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml

from deploy.local import StackInfo
from deploy.local.places import postgres_home, server_account
from deploy.local.ports import free_port
from schemas.topics import Topics
from tests.support.databases import execute
from tests.support.http import get
from tests.support.log import publish
from tests.support.services import eventually
from tests.support.topics import delete

ROOT = Path(__file__).parents[2]
SERVICES: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("botpulse:")}
LASTING = {"streams": 9101, "projections": 9102, "exporter": 9103}
EVENT = {
    "specversion": "1.0", "id": "1", "source": "/bots/t", "type": "botpulse.message.received.v1", "subject": "7",
    "time": "2026-01-02T03:04:05Z", "data": {"kind": "text"},
}  # fmt: skip


class Composed:
    """The services with the addresses of a test."""

    def __init__(self, stack: StackInfo, database_url: str, topics: Topics, folder: Path) -> None:
        self._log = folder / "log"
        url = urlsplit(database_url)
        self.ports = dict(zip(LASTING.values(), _free(len(LASTING)), strict=True))
        self._addresses = {
            "kafka:19092": stack.bootstrap_servers,
            "postgresql://botpulse:botpulse@postgres:5432/botpulse": database_url,
            "/etc/botpulse/login.sql": str(ROOT / "deploy/grafana/login.sql"),
        }
        self._more = {"BOTPULSE_TOPIC_PREFIX": topics.prefix}
        self._postgres = {
            "PGHOST": url.hostname, "PGPORT": str(url.port), "PGUSER": url.username, "PGPASSWORD": url.password,
            "PGDATABASE": url.path[1:],
        }  # fmt: skip

    def environment(self, name: str) -> dict[str, str]:
        """That of the file, and of ours only where programs are."""
        given = SERVICES[name]["environment"]
        own = {variable: self._here(_filled_in(str(value))) for variable, value in given.items()}
        if "PGHOST" in own:
            own |= self._postgres
        programs = f"{Path(sys.executable).parent}:{postgres_home(server_account()) / 'bin'}:{os.environ['PATH']}"
        return {**own, **self._more, "PATH": programs, "HOME": "/nonexistent", "BOTPULSE_HOME": "/nonexistent"}

    @asynccontextmanager
    async def process(self, name: str, words: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
        """A command with a service's environment."""
        words = [self._here(word) for word in words]
        with self._log.open("ab") as log:
            started = await asyncio.create_subprocess_exec(*words, env=self.environment(name), stdout=log, stderr=log)
        try:
            yield started
        finally:
            if started.returncode is None:
                started.kill()
                await started.wait()

    async def run(self, name: str, words: list[str]) -> int:
        """Run a command to its end."""
        async with self.process(name, words) as started:
            return await started.wait()

    @property
    def said(self) -> str:
        """What all of them said."""
        return self._log.read_text()

    def _here(self, text: str) -> str:
        for there, here in self._addresses.items():
            text = text.replace(there, here)
        return re.sub(r"\b910[1-3]\b", lambda found: str(self.ports[int(found[0])]), text)


def _free(count: int) -> list[int]:
    ports: list[int] = []
    for _ in range(count):
        ports.append(free_port(ports))
    return ports


def _filled_in(text: str) -> str:
    """`${NAME:-default}` where nobody has set NAME."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.fixture
async def unborn(stack: StackInfo) -> AsyncIterator[Topics]:
    topics = Topics(f"c{os.getpid()}.")
    yield topics
    await delete(stack.bootstrap_servers, topics)


async def test_the_commands_of_the_file(
    stack: StackInfo, empty_database_url: str, unborn: Topics, tmp_path: Path
) -> None:
    composed = Composed(stack, empty_database_url, unborn, tmp_path)
    assert set(OURS) == {"topics", "migrate", *LASTING}
    for name in ("topics", "migrate", "analyst", "topics", "migrate", "analyst"):  # once more, as after a restart
        assert await composed.run(name, SERVICES[name]["command"]) == 0, composed.said
    await publish(stack.bootstrap_servers, unborn, [EVENT])
    try:
        async with (
            composed.process("streams", OURS["streams"]["command"]) as streams,
            composed.process("projections", OURS["projections"]["command"]) as projections,
            composed.process("exporter", OURS["exporter"]["command"]) as exporter,
        ):
            workers = {"streams": streams, "projections": projections, "exporter": exporter}
            for name in LASTING:
                kind, *words = OURS[name]["healthcheck"]["test"]
                assert kind == "CMD"

                async def healthy(name: str = name, words: list[str] = words) -> bool:
                    assert workers[name].returncode is None, composed.said
                    ready = get(composed.ports[LASTING[name]], "/readyz")[0] == 200
                    return ready and await composed.run(name, words) == 0

                await eventually(healthy, f"{name} is ready, and healthy by its own check")
            grafana = SERVICES["grafana"]["environment"]
            user, password = (grafana[f"BOTPULSE_DATABASE_{part}"] for part in ("USER", "PASSWORD"))
            login = {"user": user, "password": _filled_in(password)}
            url = urlsplit(empty_database_url)
            connection = await asyncpg.connect(host=url.hostname, port=url.port, database=url.path[1:], **login)
            try:

                async def seen() -> bool:
                    return await connection.fetchval("SELECT count(*) FROM botpulse.user_dashboard") == 1

                await eventually(seen, "the event is on Grafana's dashboard")
                assert not await connection.fetchval("SELECT pg_has_role('botpulse_owner', 'member')")
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch("SELECT first_name FROM botpulse.users")
            finally:
                await connection.close()
            for worker in workers.values():
                worker.terminate()
            assert [await worker.wait() for worker in workers.values()] == [0, 0, 0]
    finally:
        await execute(empty_database_url, "DROP OWNED BY grafana", "DROP ROLE grafana")
