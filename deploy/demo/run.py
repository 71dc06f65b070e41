"""The steps of the demo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.console import Bar, Interrupts, bar, say
from deploy.database import database
from deploy.demo.agreement import Agreement, check, compare_letters
from deploy.demo.dashboards import Rows, fetch, letters_by_reason
from deploy.demo.services import Services
from deploy.kafka import create_topics
from deploy.local import LocalStack, StackInfo
from deploy.simulate import Books, Faults, Plan
from deploy.simulate.run import Summary, publish
from deploy.waiting import wait_applied, watcher
from projections.migrations import migrate
from schemas.topics import Topics


@dataclass
class Result:
    """What the demo has found out."""

    plan: Plan
    published: Summary
    counts: Mapping[str, Any]
    agreement: Agreement
    dashboards: Mapping[str, Rows]
    letters: Mapping[str, int]
    seconds: dict[str, float] = field(default_factory=dict)


class Demo:
    """All of it once, in a home of its own that is emptied first."""

    def __init__(
        self, home: Path, *, users: int, events: int, seed: int, days: int, faults: Faults, tied: bool
    ) -> None:
        self.home = home
        self.stack = LocalStack(home)
        self.info: StackInfo | None = None
        self.services: Services | None = None
        self._tied = tied
        end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self._plan = Plan(users, events, seed, end, days, faults)
        self._topics = Topics()
        self._seconds: dict[str, float] = {}

    def run(self, timeout_seconds: float, interrupts: Interrupts) -> Result:
        """Start everything, simulate, wait, compare. Raises ServiceDiedError when a service ends by itself."""
        with self._step("Kafka and Postgres are up"), bar("starting") as shown:
            self.stack.wipe()
            self.info = self.stack.up(_StackProgress(shown), tied=self._tied)
        result = interrupts.run(self._guarded(self.info, timeout_seconds))
        result.seconds = self._seconds
        return result

    def stop(self) -> None:
        """Stop the services and the stack; what they have written stays."""
        if self.services is not None:
            self.services.stop()
        self.stack.down()

    async def _guarded(self, info: StackInfo, timeout_seconds: float) -> Result:
        """The work, given up at once when a service dies."""
        with self._step("topics and tables are there"):
            await create_topics(info.bootstrap_servers, self._topics)
            await migrate(info.database_url)
        services = self.services = Services(self.home, info.environment(), tied=self._tied)
        services.start()
        work = asyncio.create_task(self._work(info, timeout_seconds))
        watch = asyncio.create_task(services.watch())
        try:
            await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Whatever the work says about a service that has died, its death says more.
            died = watch.done()
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
        return await (watch if died else work)

    async def _work(self, info: StackInfo, timeout_seconds: float) -> Result:
        servers, topics, plan = info.bootstrap_servers, self._topics, self._plan
        books = Books()
        told = f"{plan.events:,} events of {plan.users:,} users over {plan.days} days are on the log"
        with self._step(told), bar("publishing", plan.events) as shown:
            published = await publish(plan, servers, topics.events, books=books, progress=shown.move)
        with self._step("both services have applied all of it"), bar("waiting") as shown:
            await wait_applied(
                servers, info.database_url, topics, timeout_seconds=timeout_seconds, report=watcher(shown.move)
            )
        with self._step("tables and aggregates are compared with the simulator's books"):
            report = books.report()
            async with database(info.database_url) as connection:
                agreement = await check(report, connection, servers, topics)
                dashboards = await fetch(connection)
            letters = await letters_by_reason(servers, topics)
            agreement.differences += compare_letters(report["counts"], letters, "topic of dead letters")
        return Result(plan, published, report["counts"], agreement, dashboards, letters)

    @contextmanager
    def _step(self, done: str) -> Iterator[None]:
        before = time.monotonic()
        yield
        seconds = self._seconds[done] = round(time.monotonic() - before, 1)
        say(f"  {seconds:5.1f} s  {done}")


class _StackProgress:
    """Shows how far the stack is; the first time it fetches Kafka's jars."""

    def __init__(self, shown: Bar) -> None:
        self._shown = shown

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        self._shown.move(done, total or None, step)
