"""All checks after a campaign, each error one line of the report."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any, Final

import asyncpg
import orjson

from deploy.waiting import NotAppliedError, Progress, wait_applied
from tests.faults import check_tables, check_topics
from tests.faults.world import DATABASE, FRESH_DATABASE, ROOT, World
from tests.support.databases import with_database

LAG_SECONDS: Final = 60.0
"""Within so long after the last fault and the last record everything is applied."""
COURSE_SECONDS: Final = 5
"""Between two looks at who is behind by how much, told where it took too long."""
FOLD_SECONDS: Final = 1800.0
_SHOWN: Final = 12


async def wait_for_no_lag(world: World) -> None:
    """Everything on the log is applied by both services within LAG_SECONDS; an error else (after ten times as long)."""
    before = time.monotonic()
    url = with_database(world.info.database_url, DATABASE)
    course: list[tuple[int, dict[str, int]]] = []

    def note(progress: Progress) -> None:
        seconds = int(time.monotonic() - before)
        if not course or seconds >= course[-1][0] + COURSE_SECONDS:
            course.append((seconds, dict(progress.lag)))

    try:
        await wait_applied(
            world.info.bootstrap_servers, url, world.topics, timeout_seconds=10 * LAG_SECONDS, report=note
        )
    except NotAppliedError as error:
        world.report.error(str(error))
    seconds = round(time.monotonic() - before, 1)
    world.report.figures["seconds_until_no_lag"] = seconds
    if seconds > LAG_SECONDS:
        told = "; ".join(f"{at} s: " + ", ".join(f"{who} {lag:,}" for who, lag in lags.items()) for at, lags in course)
        world.report.error(
            f"lag was zero only {seconds} s after the last fault, not within {LAG_SECONDS:.0f} s ({told})"
        )


async def judge(world: World, fingerprint: str, books: dict[str, Any], *, money_only: bool, tables: bool) -> None:
    """Compare what is there with what must be. No worker runs any more."""
    servers, topics, report = world.info.bootstrap_servers, world.topics, world.report
    report.figures["books"] = {**books["counts"], "users": len(books["users"]), "days": len(books["days"])}
    on_log = await check_topics.fingerprint_of_log(servers, topics)
    if on_log != fingerprint:
        report.error(f"the log is not what was published (count:digest): {on_log}, published {fingerprint}")
    differences = await check_topics.aggregates(servers, topics, books, money_only=money_only)
    _all(world, check_tables.shortly(differences))
    if differences and world.keeps_logs:
        users = sorted({difference.subject for difference in differences})[:20]
        await check_topics.write_histories(servers, topics, users, world.folder / "logs" / "histories.jsonl")
    report.figures["dead_letters"], errors = await check_topics.dead_letters(servers, topics, books)
    _all(world, errors)
    if not tables:
        return
    live = await asyncpg.connect(with_database(world.info.database_url, DATABASE))
    fresh = await asyncpg.connect(with_database(world.info.database_url, FRESH_DATABASE))
    try:
        await live.execute("SET timezone = 'UTC'")
        await fresh.execute("SET timezone = 'UTC'")
        _all(world, check_tables.shortly(await check_tables.against_books(books, live)))
        totals = await check_tables.currencies(books, live)
        report.figures["currencies"] = {name: found for name, (_, found) in totals.items()}
        _all(
            world,
            [
                f"{name}: {wanted} expected, {found} found"
                for name, (wanted, found) in totals.items()
                if wanted != found
            ],
        )
        report.figures["tier_changes"], errors = await check_topics.tier_changes(servers, topics, books, live)
        _all(world, errors)
        if await fold_again(world):
            report.figures["rows"], errors = await check_tables.against_fresh_fold(live, fresh)
            _all(world, errors)
    finally:
        await live.close()
        await fresh.close()


def _all(world: World, errors: list[str]) -> None:
    for error in errors[:_SHOWN]:
        world.report.error(error)
    if len(errors) > _SHOWN:
        world.report.error(f"and {len(errors) - _SHOWN} more of the same check")


async def fold_again(world: World) -> bool:
    """Fold the whole log once more into an empty database, undisturbed, by the code as it is."""
    worker = world.start_worker(
        "projections",
        "projections-fresh",
        {"DATABASE_URL": with_database(world.info.database_url, FRESH_DATABASE)},
        tree=ROOT if world.tree_is_mutated else None,
    )
    url = with_database(world.info.database_url, FRESH_DATABASE)
    before = time.monotonic()
    waiting = asyncio.create_task(
        wait_applied(world.info.bootstrap_servers, url, world.topics, timeout_seconds=FOLD_SECONDS)
    )
    ending = asyncio.create_task(worker.ended())
    try:
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            world.report.error("the worker of the fresh fold ended")
            return False
        waiting.result()
    except NotAppliedError as error:
        world.report.error(f"the fresh fold: {error}")
        return False
    else:
        world.report.figures["fresh_fold_seconds"] = round(time.monotonic() - before, 1)
        return True
    finally:
        waiting.cancel()
        worker.signal(signal.SIGTERM, "term")
        await ending
        world.worker_ended(worker)


def load_books(world: World) -> dict[str, Any]:
    """What the load wrote down."""
    books: dict[str, Any] = orjson.loads((world.folder / "books.json").read_bytes())
    return books
