"""The measurement of replays: the log folded anew by one and by two processes, beside the live worker's rate.

Then the swap, under a reader who asks for a dashboard a hundred times a second; one user's rebuild; and verify.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from deploy.bench import logs
from deploy.bench.home import Bench
from deploy.bench.measuring import Rate, middle
from deploy.bench.processes import cpu_seconds_of_tree
from deploy.bench.projections import fill, fresh_database, measure_kind
from deploy.bench.tables import Table
from deploy.console import Bar, bar, say
from projections import registry, sql
from projections.generations.parts import rebuild_user
from projections.generations.plan import Outcome, Plan
from projections.generations.rebuild import rebuild
from projections.settings import Settings
from projections.sources.broker import BrokerAddress
from projections.verify.run import verify
from schemas.topics import Topics

POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Result:
    """One way of folding the log. `complete_seconds` for indexes and so on, `compare_seconds` for the comparison."""

    workers: int
    """0: the live worker."""
    rate: Rate
    complete_seconds: float | None = None
    compare_seconds: float | None = None


@dataclass
class Swap:
    """What a reader at 100 Hz waited for his answers, in milliseconds: before the swap at most, during it at most."""

    before_ms: float = 0.0
    during_ms: float = 0.0
    answers: int = 0
    empty: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """What is measured once a round beside the rates: the swap, seconds of one user's rebuild, the second fold."""

    swap: Swap
    user_seconds: float
    user_records: int
    verify: Rate


def measure(
    bench: Bench, *, events: int, users: int, workers: Sequence[int], seed: int, repeat: int
) -> tuple[list[list[Result]], list[Round]]:
    """Fold a log with the live worker, then anew with each number of processes; swap, mend a user and verify after."""
    folder = bench.fresh_folder()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with bar("inventing events", events) as shown:
        log = logs.invent(folder / "events", users=users, events=events, seed=seed, end=end, move=shown.move)
    rounds: list[list[Result]] = []
    others: list[Round] = []
    with bench.topics(folder) as topics:
        total = events + fill(bench, log, topics, folder)
        for number in range(repeat):
            with fresh_database(bench, f"bench_rebuild_{number}") as url:
                live = measure_kind("projections", bench, topics, folder, url, log, total, 0)
                results = [Result(0, live.rate)]
                settings = Settings.model_validate(
                    {
                        "KAFKA_BOOTSTRAP_SERVERS": bench.info.bootstrap_servers,
                        "DATABASE_URL": url,
                        "BOTPULSE_TOPIC_PREFIX": topics.prefix,
                    }
                )
                swap = Swap()
                for count in workers:
                    results.append(_rebuild(bench, settings, url, count, swap if count == workers[-1] else None))
                    say(f"  {count} processes: {results[-1].rate.per_second:,.0f} events/s")
                rounds.append(results)
                user_seconds, user_records = bench.run(_one_user(settings, url))
                others.append(Round(swap, user_seconds, user_records, _verify(bench, topics, url, workers[-1])))
    return [list(runs) for runs in zip(*rounds, strict=True)], others


async def _one_user(settings: Settings, url: str) -> tuple[float, int]:
    """Spoil the busiest user's row and have it mended; returns how long that takes and how many records are read."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "botpulse"})
    try:
        user = await connection.fetchval(sql.query("bench", "spoil_busiest_user"))
    finally:
        await connection.close()
    began = time.monotonic()
    outcome = await rebuild_user(
        settings, registry.apply, user, Plan(1, dry_run=False, agree=lambda _: True), _Nobody()
    )
    seconds = time.monotonic() - began
    if not outcome.applied or [difference.table for difference in outcome.differences] != ["users"]:
        raise AssertionError(f"a user's rebuild found something else than was spoiled: {outcome.differences}")
    return seconds, outcome.records


def _verify(bench: Bench, topics: Topics, url: str, workers: int) -> Rate:
    """Compare everything by the second fold, the partitions divided between so many processes."""
    before = _used_by_children(bench.info.postgres_pid)
    began = time.monotonic()
    with bar("verify") as shown:
        outcome = bench.run(
            verify(url, BrokerAddress(bench.info.bootstrap_servers), topics, workers=workers, progress=shown.move)
        )
    seconds = time.monotonic() - began
    after = _used_by_children(bench.info.postgres_pid)
    if outcome.differences.total:
        raise AssertionError(f"verify differs from the tables: {outcome.differences.kept[:3]}")
    return Rate(outcome.records, seconds, after[0] - before[0], after[1] - before[1])


def _used_by_children(server: int) -> tuple[float, float]:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime, cpu_seconds_of_tree(server)


class _Nobody:
    """Who is told how far a rebuild is, where nobody wants to know."""

    def step(self, title: str, total: int) -> None: ...

    def moved(self, units: int) -> None: ...

    def tell(self, line: str) -> None: ...


def _rebuild(bench: Bench, settings: Settings, url: str, workers: int, swap: Swap | None) -> Result:
    with bar("rebuild") as shown:
        watcher = _Watcher(shown, bench.info.postgres_pid)
        plan = Plan(workers, dry_run=swap is None, agree=lambda _: False)
        outcome = bench.run(_under_a_reader(settings, plan, watcher, url, swap))
    if outcome.differences:
        raise AssertionError(f"a rebuild differs from the live tables: {outcome.differences}")
    return Result(
        workers,
        Rate(outcome.records, outcome.fold_seconds, watcher.cpu_seconds, watcher.server_seconds),
        outcome.complete_seconds,
        outcome.compare_seconds,
    )


class _Watcher:
    """Notes what the fold has used, and when the swap begins."""

    def __init__(self, shown: Bar, server: int) -> None:
        self._bar = shown
        self._server = server
        self._title, self._done = "", 0
        self._before = (0.0, 0.0)
        self.cpu_seconds = self.server_seconds = 0.0
        self.swapping = False

    def step(self, title: str, total: int) -> None:
        if title == "folding the log":
            self._before = _used_by_children(self._server)
        elif self._title == "folding the log":
            after = _used_by_children(self._server)
            self.cpu_seconds, self.server_seconds = after[0] - self._before[0], after[1] - self._before[1]
        self.swapping = title == "swapping"
        self._title, self._done = title, 0
        self._bar.move(0, total or None, title)

    def moved(self, units: int) -> None:
        self._done += units
        self._bar.move(self._done)

    def tell(self, line: str) -> None:
        say(line)


async def _under_a_reader(settings: Settings, plan: Plan, watcher: _Watcher, url: str, swap: Swap | None) -> Outcome:
    reading = asyncio.create_task(_read(url, watcher, swap)) if swap is not None else None
    try:
        return await rebuild(settings, registry.apply, plan, watcher)
    finally:
        if reading is not None:
            await asyncio.sleep(10 * POLL_SECONDS)
            reading.cancel()
            await asyncio.wait([reading])


async def _read(url: str, watcher: _Watcher, swap: Swap) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "botpulse"})
    try:
        statement = await connection.prepare(sql.query("bench", "dashboard"))
        while True:
            began = time.monotonic()
            try:
                rows = await statement.fetch()
            except asyncpg.PostgresError as error:
                swap.errors.append(f"{type(error).__name__}: {error}")
                continue
            waited = (time.monotonic() - began) * 1000
            swap.answers += 1
            swap.empty += not rows
            if watcher.swapping:
                swap.during_ms = max(swap.during_ms, waited)
            else:
                swap.before_ms = max(swap.before_ms, waited)
            await asyncio.sleep(POLL_SECONDS)
    finally:
        connection.terminate()


def table(results: Sequence[Sequence[Result]], others: Sequence[Round]) -> Table:
    """A row for the live worker, for each number of processes and for verify; swap and one user in notes."""
    medians = [runs[middle([run.rate.per_second for run in runs])] for runs in results]
    live = medians[0].rate.per_second
    rows = [
        (
            f"rebuild, {run.workers} process{'es' if run.workers > 1 else ''}" if run.workers else "live worker",
            f"{run.rate.events:,}",
            f"{run.rate.per_second:,.0f}",
            f"{run.rate.per_cpu_second:,.0f}",
            f"{run.rate.server_cpu_seconds / run.rate.seconds:.0%}",
            f"{run.rate.per_second / live:.2f}",
            f"{run.complete_seconds:.1f}" if run.complete_seconds is not None else "",
            f"{run.compare_seconds:.1f}" if run.compare_seconds is not None else "",
        )
        for run in medians
    ]
    check = others[middle([other.verify.per_second for other in others])].verify
    rows.append((
        f"verify, {medians[-1].workers} process{'es' if medians[-1].workers > 1 else ''}", f"{check.events:,}",
        f"{check.per_second:,.0f}", f"{check.per_cpu_second:,.0f}", f"{check.server_cpu_seconds / check.seconds:.0%}",
        f"{check.per_second / live:.2f}", "", "",
    ))  # fmt: skip
    headings = (
        "", "events measured", "events/s", "events per CPU second", "Postgres busy", "times the live worker",
        "indexes s", "comparison s",
    )  # fmt: skip
    swaps = [other.swap for other in others]
    slowest = max(others, key=lambda other: other.user_seconds)
    worst = max(swaps, key=lambda swap: swap.during_ms)
    answers, empty = sum(swap.answers for swap in swaps), sum(swap.empty for swap in swaps)
    errors = sum(len(swap.errors) for swap in swaps)
    notes = [
        f"A reader of revenue_dashboard at 100 Hz waited {worst.during_ms:.0f} ms at most during the swap, "
        f"{worst.before_ms:.0f} ms before it; of {answers:,} answers {empty} were empty and {errors} errors.",
        f"One user's rebuild, the busiest one's, took {slowest.user_seconds:.2f} s at most; it reads the user's "
        f"partitions, {slowest.user_records:,} records.",
        "The start of the processes is in every rate. Every rebuild agreed with the live tables in every row.",
    ]
    return Table("Replay", headings, rows, notes)


def content(results: Sequence[Sequence[Result]], others: Sequence[Round]) -> dict[str, Any]:
    """For `--json`: every run."""
    return {"runs": [[asdict(run) for run in runs] for runs in results], "rounds": [asdict(other) for other in others]}
