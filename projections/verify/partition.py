"""One partition of the log beside the rows of its users.

Keys stay where they are, so a partition has all events of its users, and nobody else's.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

import asyncpg

from projections.batch import Arrival
from projections.letter_decoder import decode_letter
from projections.sources.source import LogSource
from projections.sql import query
from projections.verify.aggregates import Aggregates
from projections.verify.differences import Differences, compare
from projections.verify.evidence import events_behind
from projections.verify.history import Entry, History, Verdict, arrival_of
from projections.verify.retention import Horizons, kept
from projections.verify.rows import KEYS, SHARED, Key, Row, Rows, stored_row
from projections.verify.shared import Shared
from projections.verify.trail import trail_of
from projections.verify.user import User
from schemas.codec import Decoder, TierChangeDecoder
from schemas.envelope import ContentEvent
from schemas.errors import InvalidEvent
from schemas.records import LogRecord
from schemas.topics import Topics

USERS_AT_ONCE: Final = 500
USER_TABLES: Final = tuple(table for table in KEYS if table not in SHARED)
_SAMPLES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which users are verified: all, one, or a share of them that is the same every time."""

    user: int | None = None
    share: float = 1.0

    @property
    def is_all(self) -> bool:
        """Whether nobody is left out."""
        return self.user is None and self.share >= 1.0

    def takes(self, key: bytes | None) -> bool:
        """Whether records of this key are looked at."""
        if self.user is not None:
            return key == b"%d" % self.user
        return self.share >= 1.0 or zlib.crc32(key or b"") % _SAMPLES < self.share * _SAMPLES


@dataclass(frozen=True, slots=True)
class Job:
    """One partition, and up to where its topics are folded."""

    topics: Topics
    partition: int
    partitions: int
    ends: Mapping[str, int]
    """By topic: what is applied. The topic of aggregates is among them where it is to be looked at."""
    refused: frozenset[int]
    """Offsets of events whose rows the database refused."""
    selection: Selection
    horizons: Horizons

    def end_of(self, topic: str) -> dict[int, int]:
        """Return the end of this partition of a topic."""
        return {self.partition: self.ends[topic]}


@dataclass
class Part:
    """What came of a partition."""

    partition: int
    records: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    users: set[int] = field(default_factory=set)
    rows: Counter[str] = field(default_factory=Counter)
    """Compared rows by table."""
    aggregates: int = 0
    """Users whose aggregate was compared."""
    shared: Shared = field(default_factory=Shared)
    differences: Differences = field(default_factory=Differences)


class Folded(NamedTuple):
    """A user, the records under the user's key, and the tier changes."""

    user: User
    entries: list[Entry]
    changes: list[Arrival]


async def verify_partition(
    job: Job, source: LogSource, connection: asyncpg.Connection, progress: Callable[[int], None]
) -> Part:
    """Fold one partition a second time and compare it with what `connection` sees.

    `progress` is told the number of records that were read since the last call.
    """
    part = Part(job.partition)
    topics = job.topics
    events = await _by_key(source, topics.events.name, job, progress)
    changes = await _by_key(source, topics.tier_changes.name, job, progress)
    async for _, records in source.read(topics.dead_letters.name, {}, job.end_of(topics.dead_letters.name)):
        progress(len(records))
        for letter in _decoded(records, decode_letter):
            part.shared.refused(letter)
    aggregates = Aggregates()
    if topics.user_aggregates.name in job.ends:
        async for _, records in source.read(topics.user_aggregates.name, {}, job.end_of(topics.user_aggregates.name)):
            for record in records:
                if job.selection.takes(record.key):
                    aggregates.add(record)
    keys = iter(dict.fromkeys([*events, *changes]))
    decoder, change_decoder = Decoder(job.partitions), TierChangeDecoder(job.partitions)
    while chunk := list(islice(keys, USERS_AT_ONCE)):
        histories: dict[int, Folded] = {}
        for key in chunk:
            history = History(decoder.decode, job.refused)
            entries = [history.read(record) for record in events.pop(key, ())]
            moves = list(_decoded(changes.pop(key, ()), change_decoder.decode))
            history.take_tier_changes(moves)
            part.records += len(entries)
            part.verdicts.update(entry.verdict.value for entry in entries)
            for entry in entries:
                if entry.verdict is Verdict.COUNTED and isinstance(entry.event, ContentEvent):
                    part.shared.describe(entry.event)
            if history.user is None:
                continue
            histories[history.user.telegram_id] = Folded(history.user, entries, moves)
            part.shared.add(history.user)
            if key is not None and aggregates.comparable(key, history):
                part.aggregates += 1
                for difference in aggregates.compare(key, history):
                    part.differences.add(difference)
        await _compare(part, connection, histories, job)
    return part


async def _by_key(
    source: LogSource, topic: str, job: Job, progress: Callable[[int], None]
) -> dict[bytes | None, list[LogRecord]]:
    found: dict[bytes | None, list[LogRecord]] = {}
    async for _, records in source.read(topic, {}, job.end_of(topic)):
        progress(len(records))
        for record in records:
            if job.selection.takes(record.key):
                found.setdefault(record.key, []).append(record)
    return found


def _decoded(records: Sequence[LogRecord], decode: Callable[[LogRecord], Any]) -> Iterator[Any]:
    for record in records:
        try:
            event = decode(record)
        except InvalidEvent:
            continue
        yield arrival_of(event, record)


async def _compare(part: Part, connection: asyncpg.Connection, histories: Mapping[int, Folded], job: Job) -> None:
    part.users.update(histories)
    folded = rows_of([found.user for found in histories.values()], job.horizons)
    stored_tables = await stored_rows(connection, list(histories), job.horizons)
    stored_tables["audit_log"] = await _stored_trail(connection, list(histories), job.ends)
    folded["audit_log"] = {}
    for found in histories.values():
        folded["audit_log"] |= trail_of(found.entries, found.changes, stored_tables["audit_log"])
    for table, stored in stored_tables.items():
        part.rows[table] += len(stored)
        for key, difference in compare(table, stored, folded[table]):
            if not part.differences.full:
                user = _user_of(table, key, stored, folded)
                difference = difference._replace(events=events_behind(difference, key, histories[user].entries))
            part.differences.add(difference)


async def _stored_trail(
    connection: asyncpg.Connection, users: Sequence[int], ends: Mapping[str, int]
) -> dict[Key, Row]:
    """The trail's rows about these users; tables that were taken back to an older generation may lie behind it."""
    rows = await connection.fetch(query("verify", "audit_log"), users)
    return dict(
        stored_row("audit_log", row)
        for row in rows
        if row["log_offset"] < ends.get(row["topic"], row["log_offset"] + 1)
    )


def _user_of(table: str, key: Key, stored: Mapping[Key, Row], folded: Rows) -> int:
    if "telegram_id" in KEYS.get(table, ()):
        return int(key[KEYS[table].index("telegram_id")])
    row = stored.get(key) or folded[table][key]
    return int(row["telegram_id"])


def rows_of(users: Sequence[User], horizons: Horizons) -> Rows:
    """Return the users' folded rows in every table."""
    folded: Rows = {table: {} for table in USER_TABLES}
    for user in users:
        for table, rows in user.rows(horizons.get("user_sessions")).items():
            folded[table].update(rows)
    return folded


async def stored_rows(connection: asyncpg.Connection, users: Sequence[int], horizons: Horizons) -> Rows:
    """Return the users' stored rows in every table."""
    found: Rows = {}
    for table in USER_TABLES:
        records = await connection.fetch(query("verify", table), users)
        found[table] = kept(table, dict(stored_row(table, record) for record in records), horizons)
    return found
