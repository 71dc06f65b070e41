"""The measurements of the stream service, and of what one would run instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from deploy.bench import history, logs
from deploy.bench.cases import KEEPING, Case
from deploy.bench.counter import SETTING, Counter
from deploy.bench.home import Bench
from deploy.bench.measuring import Rate, middle, rate
from deploy.bench.processes import Worker, running
from deploy.bench.watching import Progress, restored, streams_progress, wait_for, watch
from deploy.console import bar, say
from deploy.local.ports import free_port
from schemas.topics import DEFAULT_PARTITIONS, Topics


@dataclass(frozen=True)
class Run:
    """One measurement.

    `first_event_seconds`: from the start of the first process until its first batch is durable; `peak_bytes`: of all
    workers; `state_bytes`: what they hold at the end more than idle ones.
    """

    rate: Rate
    first_event_seconds: float
    peak_bytes: int
    state_bytes: int


@dataclass(frozen=True)
class Result:
    """A case, the users that are really on its log, and its runs."""

    case: Case
    users: int
    runs: tuple[Run, ...]

    @property
    def median(self) -> Run:
        """The run in the middle by its rate."""
        return self.runs[middle([run.rate.per_second for run in self.runs])]


_MODULES: Final = {"none": "deploy.bench.workers.stateless", "stock": "deploy.bench.workers.stock"}


def measure(cases: Sequence[Case], bench: Bench, *, seed: int, repeat: int) -> list[Result]:
    """Measure all cases, `repeat` times each. Raises BenchmarkError."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    idle = idle_bytes(bench)
    results = []
    for users, group in groupby(cases, key=lambda case: case.users):
        of_users = list(group)
        events = max(case.events for case in of_users)
        with bar(f"inventing events of {users:,} users", events) as shown:
            path = bench.folder / "events"
            known = any(case.state == "known" for case in of_users)
            log = logs.invent(path, users=users, events=events, seed=seed, end=end, past=known, move=shown.move)
        past = history.fold(log, "", DEFAULT_PARTITIONS) if known else None
        runs: dict[Case, list[Run]] = {case: [] for case in of_users}
        for _ in range(repeat):
            for case in of_users:
                run = _run(case, log, past, bench, idle)
                runs[case].append(run)
                say(f"  {_title(case)}: {run.rate.per_second:,.0f} events/s")
        results += [Result(case, users if known else log.users, tuple(runs[case])) for case in of_users]
        log.path.unlink()
    return results


def _title(case: Case) -> str:
    return f"{case.state}, {case.users:,} users, {case.workers} worker{'s' if case.workers > 1 else ''}"


def _run(case: Case, log: logs.Log, past: history.Past | None, bench: Bench, idle: int) -> Run:
    """One case once, on topics of its own that hold the whole log, and the state of a past, before a worker starts."""
    folder = bench.fresh_folder()
    with bench.topics(folder) as topics:
        with bar("publishing", log.events) as shown:
            bench.run(logs.publish(log, bench.info.bootstrap_servers, topics.events, move=shown.move))
        if past is not None:
            servers = bench.info.bootstrap_servers
            bench.run(history.commit(servers, topics.events, topics.streams_group, past.next_offset))
            with bar(f"writing the state of {case.users:,} users", case.users) as shown:
                bench.run(history.write(past, servers, topics, case.users, DEFAULT_PARTITIONS, shown.move))
        workers, progress = _start(case, past, bench, topics, folder)
        with running(*workers), bar(_title(case), case.events) as shown:
            looks = watch(workers, progress, case.events, shown.move)
            return Run(
                rate(looks, case.events, workers[0].started_at),
                looks[0].at - workers[0].started_at,
                sum(worker.peak_bytes() for worker in workers),
                max(0, sum(worker.resident_bytes() for worker in workers) - idle * len(workers)),
            )


def _start(
    case: Case, past: history.Past | None, bench: Bench, topics: Topics, folder: Path
) -> tuple[list[Worker], Progress]:
    if case.state in KEEPING:
        started = [start_streams(bench, topics, folder, f"streams-{n}") for n in range(1, case.workers + 1)]
        begin = {} if past is None else {str(place): offset for place, offset in past.next_offset.items()}
        return [worker for worker, _ in started], streams_progress([port for _, port in started], begin)
    counter = folder / "counter"
    counted = Counter(counter)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": bench.info.bootstrap_servers,
        SETTING: str(counter),
        "BOTPULSE_BENCH_TOPIC": topics.events.name,
        "BOTPULSE_BENCH_PARTITIONS": str(DEFAULT_PARTITIONS),
        "BOTPULSE_BENCH_GROUP": f"{topics.prefix}{case.state}",
    }
    worker = Worker(case.state, _MODULES[case.state], environment, folder)
    return [worker], lambda: (counted.get(), True)


def start_streams(bench: Bench, topics: Topics, folder: Path, name: str = "streams") -> tuple[Worker, int]:
    """Start a stream worker; returns it with the port of its metrics."""
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": bench.info.bootstrap_servers,
        "BOTPULSE_TOPIC_PREFIX": topics.prefix,
        "STREAMS_HTTP_PORT": str(port),
    }
    return Worker(name, "streams", environment, folder), port


def idle_bytes(bench: Bench) -> int:
    """What a stream worker holds that is ready and has nothing to do."""
    folder = bench.fresh_folder()
    with bench.topics(folder) as topics, bar("starting a worker"):
        worker, port = start_streams(bench, topics, folder)
        with running(worker):
            wait_for(lambda: len(restored(port)) == DEFAULT_PARTITIONS, [worker], "the stream worker is ready")
            return worker.resident_bytes()
