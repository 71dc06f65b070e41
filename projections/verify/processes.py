"""Partitions folded in several processes, all of them in one snapshot of the database."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import uvloop

from projections.sources.source import LogAddress
from projections.verify.partition import Job, Part, verify_partition
from projections.verify.session import snapshot, without_collector

_read_by_all: Any = None
"""In a worker: how many records all of them have read."""


async def verify_in_processes(
    database_url: str, log: LogAddress, name: str, jobs: Sequence[Job], workers: int, progress: Callable[[int], None]
) -> list[Part]:
    """Divide the partitions between so many processes; `name` is the snapshot's.

    `progress` is told how many records were read. Raises what the first failed partition raised.
    """
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    loop = asyncio.get_running_loop()
    shares = _shares(jobs, workers)
    with ProcessPoolExecutor(len(shares), context, _share, (counter,)) as pool:
        running = [loop.run_in_executor(pool, _work, database_url, log, name, share) for share in shares]
        pending = set(running)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=0.2, return_when=asyncio.FIRST_EXCEPTION)
            progress(counter.value)
            for finished in running:
                if finished.done() and finished.exception() is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                    await finished
        return [part for parts in running for part in await parts]


def _shares(jobs: Sequence[Job], workers: int) -> list[list[Job]]:
    """Divide the partitions so that each process has about as many records as any other; none is without."""
    shares: list[list[Job]] = [[] for _ in range(min(workers, len(jobs)))]
    for job in sorted(jobs, key=lambda job: -job.records):
        min(shares, key=lambda share: (sum(job.records for job in share), len(share))).append(job)
    return shares


def _share(counter: Any) -> None:
    global _read_by_all
    _read_by_all = counter


def _work(database_url: str, log: LogAddress, name: str, jobs: Sequence[Job]) -> list[Part]:
    def read(records: int) -> None:
        with _read_by_all.get_lock():
            _read_by_all.value += records

    async def run() -> list[Part]:
        async with snapshot(database_url, name) as (connection, _), log.open() as source:
            return [await verify_partition(job, source, connection, read) for job in jobs]

    with without_collector():
        return uvloop.run(run())
