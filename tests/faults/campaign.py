"""A campaign from its first fault to its verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.faults import mutations
from tests.faults.inject import Injector
from tests.faults.judge import judge, load_books, wait_for_no_lag
from tests.faults.loading import Loading
from tests.faults.monitor import Monitor
from tests.faults.plan import DECK, SERVICES, Fault, faults
from tests.faults.report import CampaignError, Report
from tests.faults.world import World, running_world

NEAR_FAULTS: Final = (
    "duplicates=0.02,copies=0.05,conflicts=0.02,late=0.03,reorder=0.05,refund_first=0.3,closing_first=0.3,"
    "spend_first=0.1,orphans=0.01,poison=0.001"
)
FAR_FAULTS: Final = NEAR_FAULTS + ",far_duplicates=0.01"
AT_ONCE: Final = 4
"""Most faults under way at one time."""
FAULT_SECONDS: Final = 180.0
"""A fault that takes longer is an error of the campaign."""
_TOLD_SECONDS: Final = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What a campaign does. `minutes` or `count` end it, whichever comes first; `records` 0 is an open load."""

    seed: int
    count: int = 300
    minutes: float = 60.0
    rate: float = 1200.0
    users: int = 1500
    partitions: int = 8
    skew: float = 0.02
    far: bool | None = None
    gap_seconds: float = 2.0
    session_seconds: float = 4.0
    deck: Mapping[str, int] | None = None
    services: Sequence[str] = SERVICES
    records: int = 0
    mutate: str = ""
    keep: Path | None = None

    @property
    def far_duplicates(self) -> bool:
        """Whether the log has duplicates beyond a user's last 64 events, which streams need not know."""
        return self.seed % 2 == 0 if self.far is None else self.far


async def run(options: Options, say: Say) -> Report:
    """Run it; the report's errors are empty when everything held. Raises CampaignError when it could not be run."""
    arguments = {k: v for k, v in asdict(replace(options, keep=None)).items() if v is not None and k != "keep"}
    report = Report(options.seed, arguments)
    mutate = mutations.MUTATIONS[options.mutate] if options.mutate else None
    started = time.monotonic()
    async with running_world(
        report,
        partitions=options.partitions,
        session_seconds=options.session_seconds,
        mutate=mutate,
        keep=options.keep,
    ) as world:
        world.tree_is_mutated = mutate is not None
        loading = Loading(world.tree, _load(options, world), world.folder / "logs" / "load.log")
        monitor = Monitor(world)
        world.keep_workers(options.services)
        await loading.start()
        monitor.start()
        telling = asyncio.create_task(_tell(say, report, loading, monitor, started))
        try:
            await _break(options, world, loading, monitor, say)
            say(f"{report.injected} faults done; the load ends")
            await (loading.ended(3600) if options.records else loading.stop())
            report.figures["fault_seconds"] = round(time.monotonic() - started, 1)
            say("waiting for no lag")
            await wait_for_no_lag(world) if "projections" in options.services else await _streams_lag(world)
        finally:
            telling.cancel()
            await monitor.stop()
            loading.kill()
        report.figures["samples"] = monitor.samples
        await world.stop_workers()
        say("checking")
        both = "projections" in options.services
        await judge(world, loading.fingerprint, load_books(world), money_only=options.far_duplicates, tables=both)
    report.figures["seconds"] = round(time.monotonic() - started, 1)
    return report


def _load(options: Options, world: World) -> dict[str, Any]:
    return {
        "servers": world.info.bootstrap_servers,
        "prefix": world.topics.prefix,
        "seed": options.seed,
        "users": options.users,
        "faults": FAR_FAULTS if options.far_duplicates else NEAR_FAULTS,
        "skew": options.skew,
        "rate": options.rate,
        "records": options.records,
        "books": str(world.folder / "books.json"),
    }


async def _break(options: Options, world: World, loading: Loading, monitor: Monitor, say: Say) -> None:
    """Inject the plan's faults, some of them at one time."""
    injector = Injector(world, options.seed)
    end = time.monotonic() + options.minutes * 60
    room = asyncio.Semaphore(AT_ONCE)
    under_way: set[asyncio.Task[None]] = set()

    async def inject(fault: Fault) -> None:
        try:
            async with asyncio.timeout(FAULT_SECONDS):
                await injector.inject(fault)
        except TimeoutError:
            raise CampaignError(f"fault {fault} took longer than {FAULT_SECONDS:.0f} s") from None
        finally:
            room.release()

    plan = faults(
        options.seed,
        deck=options.deck or DECK,
        services=options.services,
        mean_gap_seconds=options.gap_seconds,
        session_seconds=options.session_seconds,
    )
    try:
        for fault in plan:
            if fault.number > options.count:
                break
            await asyncio.sleep(fault.gap_seconds)
            await room.acquire()
            if time.monotonic() > end or (options.records and loading.over):
                room.release()
                break
            for task in [task for task in under_way if task.done()]:
                under_way.discard(task)
                task.result()
            monitor.check()
            if loading.over and not options.records:
                await loading.failed()
            say(str(fault))
            under_way.add(asyncio.create_task(inject(fault)))
        for task in under_way:
            await task
    except BaseException:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        raise


async def _streams_lag(world: World) -> None:
    from tests.support import log
    from tests.support.polling import until

    before = time.monotonic()
    servers = world.info.bootstrap_servers
    try:
        await until(lambda: log.folded(servers, world.topics), "streams is up to date", 600)
    except AssertionError as error:
        world.report.error(str(error))
    seconds = round(time.monotonic() - before, 1)
    world.report.figures["seconds_until_no_lag"] = seconds
    if seconds > 60:
        world.report.error(f"lag was zero only {seconds} s after the last record")


async def _tell(say: Say, report: Report, loading: Loading, monitor: Monitor, started: float) -> None:
    while True:
        await asyncio.sleep(_TOLD_SECONDS)
        lag = ", ".join(f"{who} {count:,}" for who, count in monitor.lag.items())
        say(
            f"{time.monotonic() - started:5.0f} s  {report.injected} faults, {len(report.exits)} exits, "
            f"{loading.acknowledged:,} records, lag {lag}, {len(report.errors)} errors"
        )
