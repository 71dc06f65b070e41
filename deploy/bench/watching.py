"""Looking at workers until everything is done."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from deploy.bench.errors import BenchmarkError
from deploy.bench.measuring import Look, furthest, gauges
from deploy.bench.processes import Worker

LOOK_SECONDS: Final = 0.1
STALLED_SECONDS: Final = 120.0
"""Without any progress for so long a measurement is given up."""
_APPLIED: Final = "botpulse_streams_applied_offset"
_RESTORED: Final = "botpulse_streams_restored_records_total"
_PROJECTED: Final = "botpulse_projections_next_offset"

Progress = Callable[[], tuple[int, bool]]
"""How many events are done, and whether every worker has done some."""


def page(port: int, metric: str) -> str:
    """One of a worker's metrics, "" while it doesn't serve any; the others would cost the worker time that counts."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics?name[]={metric}", timeout=10) as answer:
            content: bytes = answer.read()
            return content.decode()
    except (urllib.error.URLError, OSError):
        return ""


def applied(port: int) -> dict[str, float]:
    """The offset after the last durable event, by partition, of a stream worker."""
    return gauges(page(port, _APPLIED), _APPLIED, "partition")


def restored(port: int) -> dict[str, float]:
    """How many changelog records a stream worker has read back, by partition that is ready."""
    return gauges(page(port, _RESTORED), _RESTORED, "partition")


def streams_progress(ports: Sequence[int], begin: Mapping[str, int] | None = None) -> Progress:
    """The progress of stream workers by their own metrics; `begin` by partition is where they begin, else at 0."""
    before = begin or {}
    latest: dict[int, Mapping[str, float]] = {}

    def progress() -> tuple[int, bool]:
        for port in ports:
            if found := applied(port):
                latest[port] = found
        positions = furthest(latest.values())
        return int(sum(at - before.get(place, 0) for place, at in positions.items())), len(latest) == len(ports)

    return progress


def projected(port: int) -> dict[str, float]:
    """The first offset that is not in the tables, by `topic/partition`, of a projection worker."""
    return gauges(page(port, _PROJECTED), _PROJECTED, "topic", "partition")


def watch(
    workers: Sequence[Worker],
    progress: Progress,
    total: int,
    move: Callable[[float], object] = lambda _: None,
    server_cpu: Callable[[], float] = lambda: 0.0,
) -> list[Look]:
    """Look until `total` is done; the first look is the first that finds anything done.

    Raises WorkerDiedError when a worker ends, BenchmarkError when nothing is done for STALLED_SECONDS.
    """
    looks: list[Look] = []
    done, moved_at = 0, time.monotonic()
    while done < total:
        begin = time.monotonic()
        now, everyone = progress()
        at = time.monotonic()
        cpu = sum(worker.cpu_seconds() for worker in workers)
        if now != done:
            done, moved_at = now, at
            looks.append(Look(at, done, cpu, everyone, server_cpu()))
            move(min(done, total))
        elif at - moved_at > STALLED_SECONDS:
            names = " and ".join(worker.name for worker in workers)
            raise BenchmarkError(f"{names} stood still at {done:,} of {total:,} events for {STALLED_SECONDS:.0f} s")
        time.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - begin)))
    return looks


def wait_for(condition: Callable[[], bool], workers: Sequence[Worker], what: str) -> float:
    """Look until a condition holds; returns when that was, of the monotonic clock.

    Raises WorkerDiedError when a worker ends, BenchmarkError after STALLED_SECONDS.
    """
    deadline = time.monotonic() + STALLED_SECONDS
    while not condition():
        for worker in workers:
            worker.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"not within {STALLED_SECONDS:.0f} s: {what}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic()
