"""Everything that a campaign runs and breaks: the servers, the workers, the tree of code that they run."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from deploy.local import LocalStack, Options, StackInfo
from projections.migrations import migrate
from schemas.topics import Topics
from tests.faults.plan import WORKERS
from tests.faults.report import Report
from tests.faults.workers import Exit, Slot, Worker
from tests.support.databases import execute, with_database
from tests.support.stack import open_folder
from tests.support.topics import create

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("schemas", "streams", "projections", "deploy", "tests")
OUTAGE_SECONDS: Final = 20.0
"""For so long after a server came back a worker may end because of it."""
DATABASE: Final = "campaign"
FRESH_DATABASE: Final = "fresh"


class World:
    """One campaign's installation."""

    def __init__(self, stack: LocalStack, folder: Path, tree: Path, report: Report, session_seconds: float) -> None:
        self.stack = stack
        self.folder = folder
        self.tree = tree
        self.report = report
        self.topics = Topics("faults.")
        self.session_seconds = session_seconds
        self.tree_is_mutated = False
        self.keeps_logs = False
        self.slots: dict[tuple[str, int], Slot] = {}
        self.postgres_lock = asyncio.Lock()
        self.broker_lock = asyncio.Lock()
        self.info = _known(stack)
        """The servers; ports and addresses stay, whatever happens to the processes."""
        self._settings: dict[str, str] = {}
        self._started = 0
        self._away = 0
        self._back_at = -OUTAGE_SECONDS

    # -- the servers

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """While a server is away."""
        self._away += 1
        try:
            yield
        finally:
            self._away -= 1
            self._back_at = time.monotonic()

    @property
    def outage_lately(self) -> bool:
        """Whether a server is away, or was a moment ago."""
        return self._away > 0 or time.monotonic() - self._back_at < OUTAGE_SECONDS

    # -- the workers

    def environment(self, database: str = DATABASE) -> dict[str, str]:
        """The settings of the workers."""
        session = str(self.session_seconds)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.info.bootstrap_servers,
            "DATABASE_URL": with_database(self.info.database_url, database),
            "BOTPULSE_TOPIC_PREFIX": self.topics.prefix,
            "STREAMS_SESSION_TIMEOUT_SECONDS": session,
            "PROJECTIONS_SESSION_TIMEOUT_SECONDS": session,
            "PROJECTIONS_LOCK_TIMEOUT_SECONDS": "1",
        }

    def start_worker(
        self, service: str, name: str, environment: Mapping[str, str], *, tree: Path | None = None
    ) -> Worker:
        """A new process; who starts it sees to its end."""
        self._started += 1
        log = self.folder / "logs" / f"{self._started:05}-{name}.log"
        return Worker(service, name, tree or self.tree, {**self._settings, **environment}, log)

    def worker_ended(self, worker: Worker) -> Exit:
        """Note how a worker has ended."""
        result = worker.judge(outage=self.outage_lately)
        self.report.exits.append(result)
        if result.problem:
            self.report.error(f"{result.worker} ended with {result.status} after {result.seconds} s: {result.problem}")
        elif not self.keeps_logs:
            # What went as it should is not worth its disk space for hours.
            worker.log.write_text(result.last_line)
        return result

    def keep_workers(self, services: Sequence[str]) -> None:
        """Start WORKERS of each service, under supervision."""
        self._settings = self.environment()
        for service in services:
            for number in range(WORKERS):
                slot = Slot(service, f"{service}-{number}", self.start_worker, self.worker_ended)
                self.slots[service, number] = slot
                slot.keep()

    async def stop_workers(self) -> None:
        """Stop all; each must end in time and with status 0."""
        stopped = await asyncio.gather(*(slot.stop() for slot in self.slots.values()))
        for slot, in_time in zip(self.slots.values(), stopped, strict=True):
            if not in_time:
                self.report.error(f"{slot.name} did not stop in time")

    def kill_workers(self) -> None:
        """End all at once."""
        for slot in self.slots.values():
            slot.kill()


def _known(stack: LocalStack) -> StackInfo:
    found = stack.find()
    assert found is not None
    return found


@asynccontextmanager
async def running_world(
    report: Report,
    *,
    partitions: int,
    session_seconds: float,
    mutate: Callable[[Path], None] | None = None,
    keep: Path | None = None,
) -> AsyncIterator[World]:
    """Servers with durable settings, topics, two databases, and a copy of the code, so that editing it while a long
    campaign runs changes nothing. `keep` receives the workers' logs at the end."""
    with open_folder() as folder:
        tree = folder / "tree"
        tree.mkdir()
        (folder / "logs").mkdir()
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        for package in PACKAGES:
            shutil.copytree(ROOT / package, tree / package, ignore=ignore)
        if mutate is not None:
            mutate(tree)
        stack = LocalStack(folder / "stack", Options(durable=True))
        try:
            info = await asyncio.to_thread(stack.up, tied=True, wipe_at_end=True)
            world = World(stack, folder, tree, report, session_seconds)
            world.keeps_logs = keep is not None
            await create(info.bootstrap_servers, world.topics, partitions)
            for database in (DATABASE, FRESH_DATABASE):
                await execute(info.database_url, f"CREATE DATABASE {database} TEMPLATE template0")
                await migrate(with_database(info.database_url, database))
            try:
                yield world
            finally:
                world.kill_workers()
        finally:
            if keep is not None:
                shutil.copytree(folder / "logs", keep / "workers", dirs_exist_ok=True)
                shutil.copytree(stack.home / "logs", keep / "servers", dirs_exist_ok=True)
            await asyncio.to_thread(stack.wipe)
