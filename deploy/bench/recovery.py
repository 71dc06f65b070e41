"""How long a stream worker takes to be at work again: after the loss of all local state, and after a kill -9."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deploy.bench import history, logs
from deploy.bench.events import message
from deploy.bench.home import Bench
from deploy.bench.processes import Worker, running
from deploy.bench.streams import start_streams
from deploy.bench.tables import Table
from deploy.bench.watching import applied, restored, wait_for
from deploy.console import bar, say
from deploy.publishing import publisher
from schemas.records import CONTENT_TYPE_HEADER
from schemas.topics import DEFAULT_PARTITIONS, Topics

SAMPLE_USERS: Final = 5_000
"""Users whose past is folded; all others have the past of one of them."""


@dataclass(frozen=True)
class Recovery:
    """One recovery, in seconds from the start of the process: until the whole state is back, until the first event on
    the log is durable, until one on every partition is."""

    users: int
    records: int
    killed: bool
    ready_seconds: float
    first_event_seconds: float
    every_partition_seconds: float
    peak_bytes: int


def measure(bench: Bench, *, users: int, restart_users: int, seed: int, repeat: int) -> list[list[Recovery]]:
    """Recover all state of `users`, and restart after a kill -9 with `restart_users`; `repeat` times each."""
    results = []
    for count, killed in ((users, False), (restart_users, True)):
        if count:
            results.append([_measure(bench, count, killed, seed) for _ in range(repeat)])
    return results


def _measure(bench: Bench, users: int, killed: bool, seed: int) -> Recovery:
    folder = bench.fresh_folder()
    servers = bench.info.bootstrap_servers
    sample = min(users, SAMPLE_USERS)
    events = sample * logs.EVENTS_A_USER
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with bench.topics(folder) as topics:
        with bar("inventing the past", events) as shown:
            log = logs.invent(folder / "past", users=sample, events=events, seed=seed, end=end, move=shown.move)
        past = history.fold(log, topics.events.name, DEFAULT_PARTITIONS)
        bench.run(logs.publish(log, servers, topics.events))
        bench.run(history.commit(servers, topics.events, topics.streams_group, past.next_offset))
        with bar(f"writing the state of {users:,} users", users) as shown:
            records = bench.run(history.write(past, servers, topics, users, DEFAULT_PARTITIONS, shown.move))
        ends = dict(past.next_offset)
        if killed:
            with bar("a worker begins"):
                _work_and_die(bench, topics, folder, past, ends)
        # The new events wait for the worker, as they do after a crash.
        bench.run(_one_each(servers, topics, past, ends))
        worker, port = start_streams(bench, topics, folder, "streams-again")
        with running(worker), bar("recovering"):
            result = _recovery(worker, port, ends)
            found = Recovery(users, records, killed, *result, worker.peak_bytes())
        say(f"  {users:,} users: at work after {found.first_event_seconds:.1f} s")
        return found


def _recovery(worker: Worker, port: int, ends: dict[int, int]) -> tuple[float, float, float]:
    def here() -> dict[str, float]:
        return applied(port)

    began = worker.started_at
    ready = wait_for(lambda: len(restored(port)) == DEFAULT_PARTITIONS, [worker], "the state is back")
    first = wait_for(lambda: len(here()) > 0, [worker], "a first event is folded")

    def everywhere() -> bool:
        positions = here()
        return all(positions.get(str(place), 0) >= end for place, end in ends.items())

    every = wait_for(everywhere, [worker], "an event of every partition is folded")
    return ready - began, first - began, every - began


def _work_and_die(bench: Bench, topics: Topics, folder: Path, past: history.Past, ends: dict[int, int]) -> None:
    """A worker that has everything, does something, and is killed."""
    worker, port = start_streams(bench, topics, folder, "streams-before")
    with running(worker):
        bench.run(_one_each(bench.info.bootstrap_servers, topics, past, ends))
        _recovery(worker, port, ends)
        worker.kill()


async def _one_each(bootstrap_servers: str, topics: Topics, past: history.Past, ends: dict[int, int]) -> None:
    """A message on every partition."""
    left = set(ends)
    async with publisher(bootstrap_servers, topics.events) as sender:
        for key, _ in past.users:
            if (place := sender.place(key)) in left:
                left.discard(place)
                await sender.add(key, message(key.decode(), f"{key.decode()}-{ends[place]}"), [CONTENT_TYPE_HEADER])
                ends[place] += 1


def table(results: Sequence[Sequence[Recovery]]) -> Table:
    """A row a kind of recovery, each figure the median of its runs."""
    rows = []
    for runs in results:
        what = "restart after kill -9" if runs[0].killed else "loss of all local state"
        figures = (
            _median(run.ready_seconds for run in runs),
            _median(run.first_event_seconds for run in runs),
            _median(run.every_partition_seconds for run in runs),
        )
        peak = statistics.median(run.peak_bytes for run in runs) / 1e6
        rows.append((what, f"{runs[0].users:,}", f"{runs[0].records:,}", *figures, f"{peak:,.0f}"))
    headings = ("", "users", "records read", "ready after s", "first event s", "every partition s", "peak MB")
    notes = ["Seconds from the start of the process, the interpreter's own included."]
    if results and len(results[0]) > 1:
        notes.append(f"Median of {len(results[0])} runs.")
    return Table("Recovery of the stream service", headings, rows, notes)


def _median(seconds: Iterable[float]) -> str:
    return f"{statistics.median(seconds):.1f}"


def content(results: Sequence[Sequence[Recovery]]) -> list[dict[str, Any]]:
    """For `--json`: every run."""
    return [asdict(run) for runs in results for run in runs]
