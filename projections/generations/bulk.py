"""The bulk of the log, folded by processes of which each has a share of the partitions."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

import asyncpg
import uvloop
from aiokafka.errors import KafkaError

from projections.access import OWNER
from projections.batch import Apply
from projections.checkpoints import Place
from projections.generations.follow import BATCH_RECORDS, Follower, connect_to_next
from projections.generations.reading import Origin
from projections.settings import Settings
from schemas.errors import BotpulseError, ConfigurationError, ServiceStopped
from schemas.process import logs

POLL_SECONDS: Final = 0.1
ORPHAN_SECONDS: Final = 1.0
"""How often a process looks whether the rebuild that started it is still there."""
FEWEST_RECORDS: Final = BATCH_RECORDS
MOST_RECORDS: Final = 250_000
RECORD_MEMORY: Final = 4 * 1024
"""What a process holds for each record of a batch, of the one that is written and the one that is read together.
Measured: 3 KB of the usual mix, 2.4 of nothing but messages, 8 of nothing but payments."""


@dataclass(frozen=True)
class Share:
    """What one process folds."""

    settings: Settings
    origin: Origin
    apply: Apply
    partition_counts: Mapping[str, int]
    stops: Mapping[Place, int]
    batch_records: int


def batch_records(available_bytes: int, workers: int) -> int:
    """Return how many records each process folds before it writes. Pure.

    A user's row is written once a batch, however many events it had: the longer the batch, the fewer rows a record.
    Half of the memory that is free is left to everybody else.
    """
    return max(FEWEST_RECORDS, min(MOST_RECORDS, available_bytes // 2 // workers // RECORD_MEMORY))


def available_memory() -> int:
    """Return how many bytes may be used without anybody being pushed out; where that is unknown, a small figure."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 0


def shares(stops: Mapping[Place, int], workers: int) -> list[dict[Place, int]]:
    """Divide the partition numbers so that each share is about as long as any other. Pure; no share is empty.

    What the topics have of one number is about the same users, and stays together.
    """
    numbers: defaultdict[int, dict[Place, int]] = defaultdict(dict)
    for place, stop in sorted(stops.items()):
        numbers[place.partition][place] = stop
    divided: list[dict[Place, int]] = [{} for _ in range(min(workers, len(numbers)) or 1)]
    for _, places in sorted(numbers.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        min(divided, key=lambda share: (sum(share.values()), len(share))).update(places)
    return divided


async def fold(
    settings: Settings,
    origin: Origin,
    apply: Apply,
    *,
    partition_counts: Mapping[str, int],
    stops: Mapping[Place, int],
    workers: int,
    moved: Callable[[int], object],
) -> None:
    """Fold the log up to `stops` into the next generation, in `workers` processes; `moved` is told of every batch.

    `apply` must be a function of a module: the processes import it. Raises ServiceStopped or ConfigurationError with
    the first process' reason when one of them fails; none is left running, whatever is raised.
    """
    divided = shares(stops, workers)
    records = batch_records(available_memory(), len(divided))
    with _processes([Share(settings, origin, apply, partition_counts, share, records) for share in divided]) as running:
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
            if isinstance(said, BotpulseError):
                raise said
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
    # Folding makes no cycles, and a batch is millions of objects to look through.
    gc.disable()
    try:
        uvloop.run(_fold_share(share, sending.send))
    except ConfigurationError as error:
        sending.send(ConfigurationError(str(error)))
    except BotpulseError as error:
        sending.send(ServiceStopped(str(error)))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, OSError) as error:
        sending.send(ServiceStopped(f"a process of the rebuild: {type(error).__name__}: {error}"))
    finally:
        sending.close()


async def _fold_share(share: Share, moved: Callable[[int], object]) -> None:
    watching = asyncio.create_task(_end_with_parent(os.getppid()))
    connection = await connect_to_next(share.settings, "botpulse-rebuild-worker", OWNER)
    try:
        async with share.origin.reader() as reader:
            follower = Follower(
                share.settings,
                share.apply,
                connection=connection,
                reader=reader,
                partition_counts=share.partition_counts,
                batch_records=share.batch_records,
            )
            await follower.claim(share.stops)
            await follower.follow(share.stops, moved)
    finally:
        watching.cancel()
        connection.terminate()


async def _end_with_parent(parent: int) -> None:
    """A rebuild that was killed can't end its processes: they look for themselves."""
    while True:
        await asyncio.sleep(ORPHAN_SECONDS)
        if os.getppid() != parent:
            os._exit(1)
