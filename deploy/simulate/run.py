"""A simulated log onto Kafka or into a file, with its books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from deploy.publishing import publisher
from deploy.simulate.books import Books
from deploy.simulate.generator import Emission, Plan, simulate
from schemas.topics import Topic

_SHOWN_EVERY: Final = 1000
_PACE_SECONDS: Final = 0.05
"""With a rate, records are sent so often."""


@dataclass
class Summary:
    """What was sent: `records` in all, `refused` of them against the contract, `left_out` for want of a line."""

    records: int = 0
    refused: int = 0
    left_out: int = 0
    seconds: float = 0.0


async def publish(
    plan: Plan,
    bootstrap_servers: str,
    topic: Topic,
    *,
    rate: float | None = None,
    books: Books | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Publish the plan's records, at most `rate` a second, all of them acknowledged on return.

    `progress` is told how many records have been sent. Raises ConfigurationError when Kafka doesn't answer or the
    topic is missing, BotpulseError when Kafka doesn't take a batch.
    """
    summary = Summary()
    before = time.monotonic()
    async with publisher(bootstrap_servers, topic) as sender:
        due = before
        for emission in simulate(plan):
            if rate is not None:
                due += 1 / rate
                ahead = due - time.monotonic()
                if ahead > _PACE_SECONDS:
                    await sender.flush()
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
            place = _misplaced(emission, sender.place, sender.partitions)
            await sender.add(emission.key, emission.value, emission.headers, place)
            _count(emission, summary, books)
            if summary.records % _SHOWN_EVERY == 0:
                progress(summary.records)
                await asyncio.sleep(0)
    summary.seconds = time.monotonic() - before
    return summary


def write(
    plan: Plan, file: BinaryIO, *, books: Books | None = None, progress: Callable[[int], None] = lambda _: None
) -> Summary:
    """Write the plan's events, one JSON a line; what the contract refuses is left out: much of it is no line."""
    summary = Summary()
    before = time.monotonic()
    for emission in simulate(plan):
        if emission.event is None:
            summary.left_out += 1
            continue
        file.write(emission.value or b"")
        file.write(b"\n")
        _count(emission, summary, books)
        if summary.records % _SHOWN_EVERY == 0:
            progress(summary.records)
    summary.seconds = time.monotonic() - before
    return summary


def _misplaced(emission: Emission, place: Callable[[bytes | None], int], partitions: int) -> int | None:
    """Another partition than the key's for what is to lie wrong; a topic of one partition has no wrong one."""
    return (place(emission.key) + 1) % partitions if emission.misplaced else None


def _count(emission: Emission, summary: Summary, books: Books | None) -> None:
    summary.records += 1
    summary.refused += emission.event is None
    if books is not None:
        books.add(emission)
