"""Installations whose tables are rebuilt: a simulated log, live workers as processes, the command as people run it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg

from deploy.demo.agreement import SECTIONS, Difference, compare_days, compare_section, compare_users
from deploy.local import StackInfo
from deploy.simulate import Books, Plan
from deploy.simulate.faults import DEMO
from deploy.simulate.run import publish
from projections.access import OWNER, matrix
from projections.migrations import migrate
from schemas.topics import Topics
from tests.support.cli import environment
from tests.support.databases import execute
from tests.support.projecting import ROOT, Bench, Worker

END = datetime(2026, 3, 1, tzinfo=UTC)
SECONDS = 60.0


def plan(events: int, seed: int) -> Plan:
    """A simulated history with everything that can go wrong in one."""
    return Plan(users=200, events=events, seed=seed, end=END, days=20, faults=DEMO)


@dataclass
class Rebuilding(Bench):
    """A bench whose tables are the product's own."""

    commands: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def simulate(self, events: int, seed: int, *, rate: float | None = None, books: Books | None = None) -> None:
        """Append a simulated history to the log, at most `rate` records a second, and note it in `books`."""
        await publish(plan(events, seed), self.bootstrap_servers, self.topics.events, rate=rate, books=books)

    async def differences_from(self, books: Books) -> list[Difference]:
        """Every figure of users, days, content, purchases and messages that is not as the books have it."""
        report = books.report()
        connection = await asyncpg.connect(self.database_url, server_settings={"search_path": "botpulse"})
        try:
            found = await compare_users(report, connection)
            found += await compare_days(report, connection)
            for section in SECTIONS:
                if section.table != "hourly_metrics":  # counts what streams sends as well
                    found += await compare_section(section, report, connection)
            return found
        finally:
            await connection.close()

    async def position(self) -> int:
        """How many records the live generation has behind it."""
        (row,) = await self.query("SELECT coalesce(sum(next_offset), 0)::int AS records FROM checkpoints")
        return int(row["records"])

    def live(self, module: str = "projections", **settings: str) -> Worker:
        """Start a live worker as a process of its own."""
        worker = Worker(self.environment | settings, module)
        self.workers.append(worker)
        return worker

    async def command(self, *arguments: str, module: str = "deploy.cli", **settings: str) -> asyncio.subprocess.Process:
        """Start `botpulse rebuild` with these arguments."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"from {module} import main; main()",
            "rebuild",
            *arguments,
            cwd=ROOT,
            env={**environment(self.environment), **settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.commands.append(process)
        return process

    async def rebuild(
        self, *arguments: str, status: int = 0, settings: Mapping[str, str] | None = None, **options: Any
    ) -> tuple[str, str]:
        """Run `botpulse rebuild` to its end; returns what it said on both streams."""
        process = await self.command(*arguments, **options, **(settings or {}))
        try:
            out, err = await asyncio.wait_for(process.communicate(), SECONDS)
        except TimeoutError:
            doing = await self.query(
                "SELECT application_name, state, wait_event_type, wait_event, left(query, 80) AS query"
                " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            raise AssertionError(f"botpulse rebuild is not done after {SECONDS:.0f} s: {doing}") from None
        assert process.returncode == status, f"status {process.returncode}:\n{out.decode()}\n{err.decode()}"
        assert "Traceback" not in err.decode(), err.decode()
        return out.decode(), err.decode()

    async def applied(self, seconds: float = 30.0) -> None:
        """Wait until everything on the log is applied; fails with what the workers say."""
        try:
            await self.caught_up(seconds)
        except AssertionError as error:
            said = "\n".join(worker.last_line() for worker in self.workers)
            raise AssertionError(f"{error}; the workers say:\n{said}") from None

    async def schemas(self) -> list[str]:
        """The generations that there are."""
        rows = await self.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'botpulse%' ORDER BY 1")
        return [row["nspname"] for row in rows]

    async def execute(self, statement: str) -> None:
        """Run a statement as a person would by hand."""
        await execute(self.database_url, f"SET search_path = botpulse; {statement}")

    async def tables(self, schema: str = "botpulse") -> dict[str, list[Any]]:
        """Every row of every projected table, in order."""
        connection = await asyncpg.connect(
            self.database_url, server_settings={"search_path": schema, "role": OWNER, "timezone": "UTC"}
        )
        try:
            names = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p')"
                " AND NOT relispartition AND relname <> ALL ($2::text[])",
                schema,
                ["checkpoints", "applied_events", *matrix().kept],
            )
            found = {}
            for row in names:
                rows = await connection.fetch(f'SELECT * FROM "{row["relname"]}"')  # noqa: S608
                found[row["relname"]] = sorted((tuple(r) for r in rows), key=str)
            return found
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def rebuilding(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Rebuilding]:
    """An installation whose processes end with it."""
    made = Rebuilding(stack.bootstrap_servers, topics, database_url)
    # The rights of a database are not copied with it.
    await migrate(database_url)
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.close()
        for process in made.commands:
            if process.returncode is None:
                process.kill()
                await process.wait()
