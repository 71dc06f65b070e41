"""All letters with their states, derived from the log: nothing is kept beside it that could disagree with it.

A copy of a refused record names its original in a header, so what was redriven is found on bot.events, from the first
letter's time on. A decision that an event stays out of the tables is a person's, and in the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from deploy.letters.letter import Letter, State, read_letter
from projections import sql
from projections.sources.broker import BrokerAddress, BrokerSource
from schemas.records import LogRecord
from schemas.redrive import Original, originals_of
from schemas.topics import Topics

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; None is any."""

    reason: str | None = None
    stage: str | None = None
    topic: str | None = None
    user: int | None = None
    since_ms: int | None = None
    state: State | None = None
    places: frozenset[Original] = frozenset()
    """Only these records; empty is any."""

    def takes(self, letter: Letter) -> bool:
        """Whether a letter, whose state is known, is meant."""
        return (
            self.reason in (None, letter.reason)
            and self.stage in (None, letter.stage)
            and self.topic in (None, letter.place.topic)
            and self.user in (None, letter.user)
            and (self.since_ms is None or letter.written_ms >= self.since_ms)
            and self.state in (None, letter.state)
            and (not self.places or letter.place in self.places)
        )


@asynccontextmanager
async def opened(bootstrap_servers: str) -> AsyncIterator[BrokerSource]:
    """The log. Raises ConfigurationError when no broker answers."""
    async with BrokerAddress(bootstrap_servers).open() as source:
        yield source


async def read_letters(
    source: BrokerSource,
    topics: Topics,
    connection: asyncpg.Connection | None,
    progress: Progress = lambda _done, _total: None,
) -> list[Letter]:
    """Return every letter once, in the order in which they were written, with its state.

    Without a database nobody's decision is known: an accepted letter then counts as open. Raises ConfigurationError for
    a missing topic.
    """
    letters: dict[tuple[Original, str], Letter] = {}
    bounds = await source.bounds(topics.dead_letters.name)
    starts = {partition: found.first for partition, found in bounds.items()}
    ends = {partition: found.end for partition, found in bounds.items()}
    async for _, records in source.read(topics.dead_letters.name, starts, ends):
        for record in records:
            letter = read_letter(record)
            if letter is not None:
                letters.setdefault(letter.identity, letter)
    if letters:
        earliest = min(letter.written_ms for letter in letters.values())
        copies = await _copies(source, topics.events.name, earliest, progress)
        accepted = set() if connection is None else await _accepted(connection)
        settle(letters.values(), copies, accepted)
    return list(letters.values())


async def _copies(
    source: BrokerSource, topic: str, since_ms: int, progress: Progress
) -> dict[Original, list[Original]]:
    """Find the copies of every original among the events that came since a time, in the order of the log."""
    starts = await source.offsets_at(topic, since_ms)
    ends = {partition: found.end for partition, found in (await source.bounds(topic)).items()}
    total = sum(ends[partition] - start for partition, start in starts.items())
    copies: dict[Original, list[Original]] = {}
    done = 0
    async for partition, records in source.read(topic, starts, ends):
        done += len(records)
        progress(done, total)
        for record in records:
            for original in originals_of(record.headers):
                copies.setdefault(original, []).append(Original(topic, partition, record.offset))
    return copies


async def _accepted(connection: asyncpg.Connection) -> set[Original]:
    return {Original(*row) for row in await connection.fetch(sql.query("refused", "accepted"))}


def settle(letters: Iterable[Letter], copies: Mapping[Original, list[Original]], accepted: Iterable[Original]) -> None:
    """Give every letter its copies and its state. Pure."""
    letters, accepted = list(letters), set(accepted)
    refused = {(letter.place, letter.stage) for letter in letters}
    for letter in letters:
        letter.copies = copies.get(letter.place, [])
        # A copy that only the database refused has passed where streams had refused its original.
        failed = [copy for copy in letter.copies if (copy, "streams") in refused or (copy, letter.stage) in refused]
        if len(failed) < len(letter.copies):
            letter.state = State.REDRIVEN
        elif letter.stage == "projections" and letter.place in accepted:
            letter.state = State.ACCEPTED
        elif failed:
            letter.state = State.REFUSED_AGAIN


async def record_at(source: BrokerSource, place: Original, before: int = 0, after: int = 0) -> list[LogRecord]:
    """Return the record at a place, and so many offsets before and after it; without it where the log has lost it."""
    bounds = (await source.bounds(place.topic)).get(place.partition)
    if bounds is None:
        return []
    start, end = max(bounds.first, place.offset - before), min(bounds.end, place.offset + after + 1)
    found: list[Any] = []
    async for _, records in source.read(place.topic, {place.partition: start}, {place.partition: end}):
        found += records
    return found
