"""The measurement of the dashboards: every question of the analysts' guide, beside the same one to a naive schema.

The story is invented in SQL, as a table of events and one of users with primary keys only; the projected tables are
folded from those two in SQL too. So both sides know the same, and their answers are compared before a time counts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from deploy.bench.home import Bench
from deploy.bench.measuring import percentile
from deploy.bench.projections import fresh_database
from deploy.bench.tables import Table
from deploy.console import bar
from projections import sql

TARGET_MS: Final = 50.0
TARGETS_MS: Final = {"top_users": 5.0}
TARGET_RATIO: Final = 50.0
SLOW_MS: Final = 1_000.0
"""A naive question that takes so long should be asked `TARGET_RATIO` times faster."""

COMPARED: Final[dict[str, tuple[str, ...]]] = {
    "active_users": (),  # any ten will do
    "top_users": ("total_spent_dollars",),  # of users who spent the same, any will do
}
"""Which columns of an answer must agree, where not all that the naive one has."""


@dataclass(frozen=True)
class Result:
    """The times of one question in milliseconds, on each side, and how many rows the answer has."""

    name: str
    title: str
    rows: int
    milliseconds: list[float]
    naive_milliseconds: list[float]

    @property
    def ratio(self) -> float:
        """How much longer the naive question takes, by the medians."""
        return percentile(self.naive_milliseconds, 0.5) / percentile(self.milliseconds, 0.5)

    @property
    def missed(self) -> list[str]:
        """The targets that it misses, in words."""
        target = TARGETS_MS.get(self.name, TARGET_MS)
        missed = [f"{target:.0f} ms"] if percentile(self.milliseconds, 0.5) >= target else []
        if percentile(self.naive_milliseconds, 0.5) > SLOW_MS and self.ratio < TARGET_RATIO:
            missed.append(f"{TARGET_RATIO:.0f} times")
        return missed


def statements(file: str) -> dict[str, sql.Query]:
    """The named statements of `sql/<file>.sql` beside this module: story, guide or naive."""
    path = Path(__file__).parent / "sql" / f"{file}.sql"
    return sql.parse(path.read_text(encoding="utf-8"), path.name)


def measure(bench: Bench, *, users: int, events: int, repeat: int, naive_repeat: int) -> list[Result]:
    """Fill a database and put every question to both sides.

    Raises AssertionError where two answers differ: then one side tells another story, and its time means nothing.
    """
    with fresh_database(bench, "bench_queries") as url:
        bench.run(_fill(url, users, events))
        return bench.run(_ask_all(url, repeat, naive_repeat))


async def _fill(url: str, users: int, events: int) -> None:
    steps = statements("story")
    settings = {
        "search_path": "botpulse",
        "timezone": "UTC",
        "bench.users": str(users),
        "bench.events": str(events),
        "bench.ends_at": f"{datetime.now(UTC):%Y-%m-%d %H:00:00+00}",
    }
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        with bar("filling", len(steps) + 1) as shown:
            for number, step in enumerate(steps.values()):
                shown.move(number, title=f"filling: {step.name}")
                await connection.execute(step.text)
            shown.move(len(steps), title="filling: vacuum")
            await connection.execute("VACUUM (ANALYZE)")  # as autovacuum leaves the tables of a running installation
    finally:
        await connection.close()


async def _ask_all(url: str, repeat: int, naive_repeat: int) -> list[Result]:
    guide, naive = statements("guide"), statements("naive")
    settings = {"search_path": "botpulse", "timezone": "UTC"}
    connection = await asyncpg.connect(url, server_settings=settings)
    results = []
    try:
        await connection.execute("SET ROLE botpulse_analyst")
        with bar("asking", len(guide)) as shown:
            for number, question in enumerate(guide.values()):
                shown.move(number, title=f"asking: {question.name}")
                results.append(await _ask(connection, question, naive[question.name], repeat, naive_repeat))
    finally:
        await connection.close()
    return results


async def _ask(
    connection: asyncpg.Connection, question: sql.Query, naive: sql.Query, repeat: int, naive_repeat: int
) -> Result:
    async with connection.transaction(isolation="repeatable_read", readonly=True):  # one moment: now() is the same
        ours, theirs = await connection.prepare(question.text), await connection.prepare(naive.text)
        first, expected = await _timed(theirs)
        _, rows = await _timed(ours)
    compare(question.name, rows, expected)
    return Result(
        question.name,
        question.description,
        len(rows),
        [(await _timed(ours))[0] for _ in range(repeat)],
        [first, *[(await _timed(theirs))[0] for _ in range(naive_repeat - 1)]],
    )


async def _timed(statement: Any) -> tuple[float, list[asyncpg.Record]]:
    """The answer, and the milliseconds from the question to its last row in the client."""
    began = time.perf_counter()
    rows = await statement.fetch()
    return (time.perf_counter() - began) * 1000, rows


def compare(name: str, rows: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> None:
    """Raise AssertionError unless two answers agree in the columns that count, in any order."""
    columns = COMPARED.get(name, tuple(expected[0].keys()) if expected else ())
    ours, theirs = (Counter(tuple(row[column] for column in columns) for row in side) for side in (rows, expected))
    if ours != theirs:
        example = next(iter((ours - theirs) or (theirs - ours)))
        raise AssertionError(
            f"{name}: {len(rows)} rows, the naive schema gives {len(expected)}; they differ in {example}"
        )


def table(results: Sequence[Result], *, users: int, events: int) -> Table:
    """A row a question, and in a note what misses its target."""
    rows = [
        (
            result.title,
            f"{result.rows:,}",
            *(f"{percentile(result.milliseconds, share):,.1f}" for share in (0.5, 0.99)),
            *(f"{percentile(result.naive_milliseconds, share):,.0f}" for share in (0.5, 0.99)),
            f"{result.ratio:,.0f}" if result.ratio >= 10 else f"{result.ratio:,.1f}",
            ", ".join(result.missed),
        )
        for result in results
    ]
    first = results[0]
    notes = [
        f"Milliseconds over {users:,} users and {events:,} events; asked {len(first.milliseconds)} times after a "
        f"first one, of the naive schema {len(first.naive_milliseconds)} times in all."
    ]
    headings = ("", "rows", "p50", "p99", "naive p50", "naive p99", "times faster", "misses")
    return Table("The guide's questions", headings, rows, notes)


def content(results: Sequence[Result]) -> list[dict[str, Any]]:
    """For `--json`: every single time."""
    return [
        {
            "name": result.name,
            "rows": result.rows,
            "milliseconds": result.milliseconds,
            "naive_milliseconds": result.naive_milliseconds,
            "ratio": result.ratio,
            "missed": result.missed,
        }
        for result in results
    ]
