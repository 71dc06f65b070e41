"""The bulk of the log, folded by processes of which each has a share of the partitions."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

import asyncpg
import uvloop
from aiokafka.errors import KafkaError

from projections.access import OWNER
from projections.batch import Apply
from projections.checkpoints import Place
from projections.generations.follow import Follower, connect_to_next
from projections.log_reader import LogReader
from projections.settings import Settings
from schemas import logs
from schemas.errors import BotpulseError, ServiceStopped

POLL_SECONDS: Final = 0.1
ORPHAN_SECONDS: Final = 1.0
"""How often a process looks whether the rebuild that started it is still there."""


@dataclass(frozen=True)
class Share:
    """What one process folds."""

    settings: Settings
    apply: Apply
    partition_counts: Mapping[str, int]
    stops: Mapping[Place, int]


def shares(stops: Mapping[Place, int], workers: int) -> list[dict[Place, int]]:
    """Divide the partitions so that each share is about as long as any other. Pure; no share is empty."""
    divided: list[dict[Place, int]] = [{} for _ in range(min(workers, len(stops)) or 1)]
    for place, stop in sorted(stops.items(), key=lambda item: (-item[1], item[0])):
        shortest = min(divided, key=lambda share: (sum(share.values()), len(share)))
        shortest[place] = stop
    return divided


async def fold(
    settings: Settings,
    apply: Apply,
    *,
    partition_counts: Mapping[str, int],
    stops: Mapping[Place, int],
    workers: int,
    moved: Callable[[int], object],
) -> None:
    """Fold the log up to `stops` into the next generation, in `workers` processes; `moved` is told of every batch.

    `apply` must be a function of a module: the processes import it. Raises ServiceStopped with the first process'
    reason when one of them fails; none is left running, whatever is raised.
    """
    with _processes([Share(settings, apply, partition_counts, share) for share in shares(stops, workers)]) as running:
        open_ends = dict(running)
        while open_ends:
            for process, end in list(open_ends.items()):
                if not _listen(end, moved):
                    del open_ends[process]
                    process.join()
                    if process.exitcode:
                        raise ServiceStopped(f"a process of the rebuild ended with status {process.exitcode}")
            await asyncio.sleep(POLL_SECONDS)


def _listen(end: Connection, moved: Callable[[int], object]) -> bool:
    """Take what a process has said; returns whether it may say more."""
    try:
        while end.poll():
            said = end.recv()
            if isinstance(said, str):
                raise ServiceStopped(said)
            moved(said)
    except EOFError:
        return False
    return True


@contextmanager
def _processes(shares: Sequence[Share]) -> Iterator[dict[SpawnProcess, Connection]]:
    # Not forked: this process has an event loop.
    context = multiprocessing.get_context("spawn")
    running: dict[SpawnProcess, Connection] = {}
    try:
        for share in shares:
            receiving, sending = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(share, sending), name="botpulse-rebuild")
            process.start()
            sending.close()
            running[process] = receiving
        yield running
    finally:
        for process in running:
            process.kill()
        for process, end in running.items():
            process.join()
            end.close()


def _work(share: Share, sending: Connection) -> None:
    # Ctrl-C is for the rebuild, which ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    try:
        uvloop.run(_fold_share(share, sending.send))
    except BotpulseError as error:
        sending.send(str(error))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, OSError) as error:
        sending.send(f"a process of the rebuild: {type(error).__name__}: {error}")
    finally:
        sending.close()


async def _fold_share(share: Share, moved: Callable[[int], object]) -> None:
    watching = asyncio.create_task(_end_with_parent(os.getppid()))
    connection = await connect_to_next(share.settings, "botpulse-rebuild-worker", OWNER)
    reader = LogReader(share.settings.bootstrap_servers)
    try:
        await reader.start()
        follower = Follower(
            share.settings, share.apply, connection=connection, reader=reader, partition_counts=share.partition_counts
        )
        await follower.claim(share.stops)
        await follower.follow(share.stops, moved)
    finally:
        watching.cancel()
        await reader.stop()
        connection.terminate()


async def _end_with_parent(parent: int) -> None:
    """A rebuild that was killed can't end its processes: they look for themselves."""
    while True:
        await asyncio.sleep(ORPHAN_SECONDS)
        if os.getppid() != parent:
            os._exit(1)
