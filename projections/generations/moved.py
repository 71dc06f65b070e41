"""Entries of the audit trail that stand elsewhere because of a redrive, told from those that somebody has changed.

What bad code had refused is in the trail where its copy came (`botpulse dead-letters redrive`), and stays there: the
trail is never rewritten. A fold by code that accepts the original has the entry at the original's place, so that the
rest of the chain has other numbers and hashes. Whether that is all is proven: the new entries, those of originals put
where their copies are, are chained anew, and must give the live chain to the last byte. Which record is a copy of which
the log says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import asyncpg

from projections.audit.chain import Chain, Head, Row, relinked
from projections.generations.layout import LIVE
from projections.sources.source import LogSource
from projections.sql import query
from schemas.redrive import originals_of


@dataclass(frozen=True, slots=True)
class Moved:
    """An entry of the trail that is at the place of a copy, where a new fold has it at that of the original."""

    topic: str
    partition: int
    original: int
    copy: int
    kind: str
    telegram_id: int


async def moved_by_redrives(connection: asyncpg.Connection, source: str, log: LogSource) -> list[Moved] | None:
    """Return the entries that stand elsewhere in the live trail than in that of the schema `source`; None where that is
    not all by which the two differ.

    `connection` sees both at one moment. Raises ConfigurationError where the log can't be read.
    """
    moved: list[Moved] = []
    for row in await connection.fetch(query("moved", "chains_that_differ").format(live=LIVE, other=source)):
        chain = Chain(row["topic"], row["log_partition"])
        found = None if row["first"] is None else await _of_chain(connection, source, log, chain, row["first"])
        if found is None:
            return None
        moved += found
    return moved


async def _of_chain(
    connection: asyncpg.Connection, source: str, log: LogSource, chain: Chain, first: int
) -> list[Moved] | None:
    live, other = [await _entries(connection, schema, chain, first) for schema in (LIVE, source)]
    there = {entry.log_offset for entry in live}
    originals = {entry.log_offset: entry for entry in other if entry.log_offset not in there}
    copies = sorted(there - {entry.log_offset for entry in other})
    if not copies or len(copies) != len(originals):
        return None
    # What is read has to be there: a broker refuses offsets before what it holds, and waits for those after it.
    held = (await log.bounds(chain.topic)).get(chain.partition)
    if held is None or copies[0] < held.first or copies[-1] >= held.end:
        return None
    copy_of = await _copies(log, chain, copies)
    moved: list[Moved] = []
    for copy in copies:
        entry = originals.pop(next((at for at in copy_of.get(copy, ()) if at in originals), -1), None)
        if entry is None:
            return None
        moved.append(Moved(*chain, entry.log_offset, copy, entry.kind, entry.telegram_id))
    places = {one.original: one.copy for one in moved}
    wanted = [entry._replace(log_offset=places.get(entry.log_offset, entry.log_offset)) for entry in other]
    wanted.sort(key=attrgetter("log_offset"))
    ends = await _ends(connection, chain, first)
    return moved if ends is not None and relinked(wanted, ends[0]) == live and ends[1] == _head(live) else None


async def _entries(connection: asyncpg.Connection, schema: str, chain: Chain, first: int) -> list[Row]:
    rows = await connection.fetch(query("moved", "entries_from").format(schema=schema), *chain, first)
    return [Row(*row) for row in rows]


async def _ends(connection: asyncpg.Connection, chain: Chain, first: int) -> tuple[Head, Head] | None:
    """Where the live chain is before entry `first`, and where it ends; None where its end is gone."""
    row = await connection.fetchrow(query("moved", "ends").format(live=LIVE), *chain, first)
    if row is None:
        return None
    return Head(first - 1, row["hash_before"] or b""), Head(row["seq"], row["hash"], row["log_offset"])


def _head(entries: Sequence[Row]) -> Head:
    return Head(entries[-1].seq, entries[-1].hash, entries[-1].log_offset)


async def _copies(log: LogSource, chain: Chain, offsets: Sequence[int]) -> dict[int, list[int]]:
    """Of which earlier records of the same partition these records say that they are copies."""
    found: dict[int, list[int]] = {}
    wanted = set(offsets)
    async for _, records in log.read(chain.topic, {chain.partition: offsets[0]}, {chain.partition: offsets[-1] + 1}):
        for record in records:
            if record.offset in wanted:
                named = [original for original in originals_of(record.headers) if original[:2] == tuple(chain)]
                found[record.offset] = [original.offset for original in named if original.offset < record.offset]
    return found
