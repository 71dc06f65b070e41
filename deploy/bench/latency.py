"""From a payment to its tier, under load: both services at work on a log that grows at a steady rate.

Payments of users who never paid before are mixed into the simulator's events; each makes its user Regular. The clock
starts when the payment is due by the schedule, whether or not the sender is late (so a stall is not hidden by the load
that it holds up), and stops at the commit of the transaction that wrote the row, as Postgres itself has recorded it:
nothing polls while it is measured. The projections decide `users.current_tier` from the payment by themselves; the
tier change in `tier_history` has gone through the stream service first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg

from deploy.bench import logs
from deploy.bench.errors import BenchmarkError
from deploy.bench.events import payment
from deploy.bench.home import Bench
from deploy.bench.measuring import percentile
from deploy.bench.processes import Worker, running
from deploy.bench.streams import start_streams
from deploy.bench.tables import Table
from deploy.bench.watching import projected, restored, wait_for
from deploy.console import bar
from deploy.kafka import producer
from deploy.local.ports import free_port
from deploy.reading import read_all
from projections import sql
from projections.migrations import migrate
from schemas.codec import CONTENT_TYPE_HEADER
from schemas.topics import DEFAULT_PARTITIONS, Topics

PROBE_EVERY: Final = 20
"""One in so many events is a payment that is timed."""
PROBE_CENTS: Final = 1_500
WARM_UP_SECONDS: Final = 5
"""Load before the measurement; its payments do not count."""
FIRST_PROBE: Final = 9_500_000_000
"""Their users' ids lie beyond those that the simulator invents."""
ARRIVAL_SECONDS: Final = 60.0
TICK_SECONDS: Final = 0.001


class Due(NamedTuple):
    """One record of the load; `probe` is the user whose tier it moves."""

    key: bytes
    value: bytes
    probe: int | None


@dataclass(frozen=True)
class Result:
    """Seconds of every timed payment: until total and tier are committed in users, until the tier change is on the
    log, and until that is committed in tier_history.

    `late`: how far the sender was behind its schedule, at most.
    """

    rate: float
    seconds: int
    tier: tuple[float, ...]
    decided: tuple[float, ...]
    change: tuple[float, ...]
    late: float


def measure(bench: Bench, *, rate: float, seconds: int, seed: int) -> Result:
    """Run both services under load. Raises BenchmarkError when a tier does not arrive."""
    folder = bench.fresh_folder()
    with bar("preparing"):
        bench.run(_prepare(bench.info.database_url))
        bench.stack.stop_postgres()  # the setting counts from a start on
        bench.stack.start_postgres()
        load = _load(folder, int(rate * (WARM_UP_SECONDS + seconds)), seed)
    with bench.topics(folder) as topics:
        workers = _start(bench, topics, folder)
        with running(*workers):
            total = WARM_UP_SECONDS + seconds
            with bar(f"{rate:,.0f} events a second", total) as shown:
                sent, late = bench.run(_send(bench.info.bootstrap_servers, topics, load, rate, shown.move))
            timed = {probe: at for probe, at in sent.items() if at >= min(sent.values()) + WARM_UP_SECONDS}
            with bar("the last tiers arrive"):
                committed = bench.run(_committed(bench.info.database_url, list(timed), workers))
                decided = bench.run(_decided(bench.info.bootstrap_servers, topics, timed))
        return Result(
            rate,
            seconds,
            tuple(committed[probe][0] - at for probe, at in timed.items()),
            tuple(decided[probe] - at for probe, at in timed.items()),
            tuple(committed[probe][1] - at for probe, at in timed.items()),
            late,
        )


async def _prepare(url: str) -> None:
    await migrate(url)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql.query("bench", "log_commit_times"))
    finally:
        await connection.close()


def _load(folder: Path, events: int, seed: int) -> list[Due]:
    """The simulator's events of one day in their order, every so often a payment of somebody new."""
    users = max(1, events // logs.EVENTS_A_USER)
    log = logs.invent(folder / "events", users=users, events=events, seed=seed, end=datetime.now(UTC), days=1)
    load = []
    for number, (key, value) in enumerate(log.records()):
        if number % PROBE_EVERY:
            load.append(Due(key, value, None))
        else:
            probe = FIRST_PROBE + number
            load.append(Due(b"%d" % probe, payment(str(probe), f"probe-{number}", PROBE_CENTS), probe))
    return load


def _start(bench: Bench, topics: Topics, folder: Path) -> list[Worker]:
    port = free_port()
    environment = {
        **bench.info.environment(),
        "BOTPULSE_TOPIC_PREFIX": topics.prefix,
        "PROJECTIONS_HTTP_PORT": str(port),
    }
    projections = Worker("projections", "projections", environment, folder)
    streams, streams_port = start_streams(bench, topics, folder)
    with bar("starting the services"):
        wait_for(lambda: len(restored(streams_port)) == DEFAULT_PARTITIONS, [streams], "the stream worker is ready")
        partitions = sum(
            topic.partitions or DEFAULT_PARTITIONS
            for topic in (topics.events, topics.tier_changes, topics.dead_letters)
        )
        wait_for(lambda: len(projected(port)) == partitions, [projections], "the projections are ready")
    return [projections, streams]


async def _send(
    bootstrap_servers: str, topics: Topics, load: Sequence[Due], rate: float, move: Callable[[float], object]
) -> tuple[dict[int, float], float]:
    """Send the load on time; returns when each probe was due (seconds since 1970), and how late the latest send was."""
    due_at: dict[int, float] = {}
    late = 0.0
    async with producer(bootstrap_servers) as client:
        await client.partitions_for(topics.events.name)
        sends = []
        begin, wall = time.monotonic(), time.time()
        number = 0
        while number < len(load):
            now = time.monotonic() - begin
            while number < len(load) and number / rate <= now:
                record = load[number]
                late = max(late, now - number / rate)
                if record.probe is not None:
                    due_at[record.probe] = wall + number / rate
                headers = [CONTENT_TYPE_HEADER]
                sends.append(await client.send(topics.events.name, record.value, key=record.key, headers=headers))
                number += 1
            move(now)
            await asyncio.sleep(TICK_SECONDS)
        await asyncio.gather(*sends)
    return due_at, late


async def _committed(url: str, probes: list[int], workers: Sequence[Worker]) -> dict[int, tuple[float, float]]:
    """When each probe's tier and tier change were committed, in seconds since 1970."""
    connection = await asyncpg.connect(url)
    try:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while (arrived := await connection.fetchval(sql.query("bench", "count_tier_changes"), probes)) < len(probes):
            for worker in workers:
                worker.check()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"of {len(probes):,} tiers {arrived:,} arrived within {ARRIVAL_SECONDS:.0f} s")
            await asyncio.sleep(0.5)
        rows = await connection.fetch(sql.query("bench", "tier_commit_times"), probes)
        return {row["telegram_id"]: (row["tier_at"].timestamp(), row["change_at"].timestamp()) for row in rows}
    finally:
        await connection.close()


async def _decided(bootstrap_servers: str, topics: Topics, probes: dict[int, float]) -> dict[int, float]:
    """When each probe's tier change was appended to the log, by the broker's clock (in whole milliseconds)."""
    found = {}
    async for record in read_all(bootstrap_servers, topics.tier_changes):
        if (probe := int(record.key)) in probes:
            found[probe] = record.timestamp / 1000
    return found


def table(result: Result) -> Table:
    """A row a stage, in milliseconds."""
    rows = []
    stages = (
        ("total and tier committed in users", result.tier),
        ("tier change on the log", result.decided),
        ("tier change committed in tier_history", result.change),
    )
    for name, seconds in stages:
        figures = [*(percentile(seconds, share) for share in (0.5, 0.9, 0.99, 0.999)), max(seconds)]
        rows.append((name, *(f"{1000 * figure:,.0f}" for figure in figures)))
    notes = [
        f"Milliseconds from a payment to its tier, over {len(result.change):,} payments among "
        f"{result.rate:,.0f} events a second for {result.seconds} s;",
        f"the sender was at most {1000 * result.late:,.0f} ms behind its schedule.",
    ]
    return Table("Latency", ("payment to", "p50", "p90", "p99", "p99.9", "max"), rows, notes)


def content(result: Result) -> dict[str, Any]:
    """For `--json`, in seconds."""
    stages = {"tier": result.tier, "decided": result.decided, "change": result.change}
    return {
        "rate": result.rate,
        "seconds": result.seconds,
        "payments": len(result.change),
        "late": round(result.late, 4),
        **{
            name: {f"p{share * 100:g}": round(percentile(seconds, share), 4) for share in (0.5, 0.9, 0.99, 0.999, 1)}
            for name, seconds in stages.items()
        },
    }
