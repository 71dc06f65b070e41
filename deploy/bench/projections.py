"""The measurements of the projections: all tables from a real log, the consumer that comes to mind first, and COPY."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson

from deploy.bench import logs
from deploy.bench.counter import SETTING, Counter
from deploy.bench.home import Bench
from deploy.bench.measuring import Rate, rate
from deploy.bench.processes import Worker, cpu_seconds_of_tree, running
from deploy.bench.streams import start_streams
from deploy.bench.watching import projected, streams_progress, watch
from deploy.console import bar, say
from deploy.local.ports import free_port
from projections import sql
from projections.migrations import migrate
from schemas.topics import DEFAULT_PARTITIONS, Topics

Kind = Literal["projections", "each", "batch", "copy"]
COPY_CHUNK: Final = 10_000


@dataclass(frozen=True)
class Result:
    """One measurement; `first_event_seconds` from the start of the process until its first batch is committed."""

    kind: Kind
    rate: Rate
    first_event_seconds: float | None
    peak_bytes: int | None


def measure(bench: Bench, *, events: int, users: int, row_events: int, seed: int, repeat: int) -> list[list[Result]]:
    """Measure each kind `repeat` times; `row_events` for the consumer that writes one row a statement."""
    folder = bench.fresh_folder()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with bar("inventing events", events) as shown:
        log = logs.invent(folder / "events", users=users, events=events, seed=seed, end=end, move=shown.move)
    results: dict[Kind, list[Result]] = {"projections": [], "batch": [], "each": [], "copy": []}
    with bench.topics(folder) as topics:
        total = events + fill(bench, log, topics, folder)
        for number in range(repeat):
            for kind, runs in results.items():
                with fresh_database(bench, f"bench_{kind}_{number}") as url:
                    runs.append(measure_kind(kind, bench, topics, folder, url, log, total, row_events))
                say(f"  {kind}: {runs[-1].rate.per_second:,.0f} events/s")
    return list(results.values())


def fill(bench: Bench, log: logs.Log, topics: Topics, folder: Path) -> int:
    """Put the log on its topic and let a stream worker decide the tiers; returns how many changed."""
    servers = bench.info.bootstrap_servers
    with bar("publishing", log.events) as shown:
        bench.run(logs.publish(log, servers, topics.events, move=shown.move))
    worker, port = start_streams(bench, topics, folder)
    with running(worker), bar("deciding tiers", log.events) as shown:
        watch([worker], streams_progress([port]), log.events, shown.move)
        worker.stop()
    return bench.run(logs.count(servers, topics.tier_changes))


def measure_kind(
    kind: Kind, bench: Bench, topics: Topics, folder: Path, url: str, log: logs.Log, total: int, row_events: int
) -> Result:
    if kind == "copy":
        return Result(kind, bench.run(_copy(bench, url, log)), None, None)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": bench.info.bootstrap_servers, "DATABASE_URL": url}
    if kind == "projections":
        port = free_port()
        settings = {"BOTPULSE_TOPIC_PREFIX": topics.prefix, "PROJECTIONS_HTTP_PORT": str(port)}
        worker = Worker(kind, "projections", {**environment, **settings}, folder)

        def progress() -> tuple[int, bool]:
            return int(sum(projected(port).values())), True
    else:
        total = min(row_events, log.events)
        counter = folder / f"counter-{kind}-{time.monotonic_ns()}"
        counted = Counter(counter)
        settings = {
            SETTING: str(counter),
            "BOTPULSE_BENCH_TOPIC": topics.events.name,
            "BOTPULSE_BENCH_PARTITIONS": str(DEFAULT_PARTITIONS),
            "BOTPULSE_BENCH_COMMIT": kind,
        }
        worker = Worker(f"rows-{kind}", "deploy.bench.workers.rows", {**environment, **settings}, folder)

        def progress() -> tuple[int, bool]:
            return counted.get(), True

    with running(worker), bar(kind, total) as shown:
        server = bench.info.postgres_pid
        before = cpu_seconds_of_tree(server)
        looks = watch([worker], progress, total, shown.move, lambda: cpu_seconds_of_tree(server) - before)
        return Result(kind, rate(looks, total, worker.started_at), looks[0].at - worker.started_at, worker.peak_bytes())


async def _copy(bench: Bench, url: str, log: logs.Log) -> Rate:
    """One COPY of as many rows as there are events into a table without an index."""
    rows = [_row(number, orjson.loads(value)) for number, (_, value) in enumerate(log.records())]
    connection = await asyncpg.connect(url)
    try:
        server, cpu, begin = cpu_seconds_of_tree(bench.info.postgres_pid), time.process_time(), time.monotonic()
        await connection.copy_records_to_table("events", schema_name="bench", records=rows)
        return Rate(
            len(rows),
            time.monotonic() - begin,
            time.process_time() - cpu,
            cpu_seconds_of_tree(bench.info.postgres_pid) - server,
        )
    finally:
        await connection.close()


def _row(number: int, event: dict[str, Any]) -> tuple[Any, ...]:
    at = datetime.fromisoformat(event["time"])
    cents = event["data"].get("amount_cents")
    return number, event["source"], event["id"], event["type"], event["subject"], at, cents


@contextmanager
def fresh_database(bench: Bench, name: str) -> Iterator[str]:
    """A migrated database of one measurement, with the tables that it is compared with."""
    parts = urlsplit(bench.info.database_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    bench.run(_execute(bench.info.database_url, f"CREATE DATABASE {name}"))
    bench.run(migrate(url))
    bench.run(_execute(url, sql.query("bench", "create_rows")))
    yield url
    bench.run(_execute(bench.info.database_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
