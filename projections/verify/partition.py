"""One partition of the log beside the rows of its users.

Keys stay where they are, so a partition has all events of its users, and nobody else's.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import asyncpg

from projections.batch import Arrival
from projections.letter_decoder import decode_letter
from projections.sources.source import LogSource
from projections.sql import query
from projections.verify.aggregates import Aggregates
from projections.verify.differences import Difference, Differences, compare
from projections.verify.evidence import events_behind
from projections.verify.history import Entry, History, Verdict, arrival_of
from projections.verify.retention import HORIZON_OF, Horizons
from projections.verify.rows import KEYS, KINDS, SHARED, Key, Row, Rows, agree, key_columns, repeated, stored_row
from projections.verify.shared import Shared
from projections.verify.trail import TOLD, trail_of
from projections.verify.user import User
from schemas.codec import Decoder, TierChangeDecoder
from schemas.errors import InvalidEvent
from schemas.records import LogRecord
from schemas.topics import Topics

USERS_AT_ONCE: Final = 2_000
RECORDS_AT_ONCE: Final = 20_000
"""So many are decoded and compared together, but for a user who alone has more."""
USER_TABLES: Final = tuple(table for table in KEYS if table not in SHARED)
_COUNTED: Final = Verdict.COUNTED
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

    @property
    def key(self) -> bytes | None:
        """The only key of which records are read."""
        return None if self.user is None else b"%d" % self.user

    def of(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """Return those of the records, read by `key`, that are looked at."""
        if self.is_all or self.user is not None:
            return records
        share = self.share * _SAMPLES
        return [record for record in records if zlib.crc32(record.key or b"") % _SAMPLES < share]


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

    @property
    def records(self) -> int:
        """About how many records are read: those of the bot's events."""
        return self.ends[self.topics.events.name]

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
    """A user, the records under the user's key, and the tier changes.

    What became of every record is not kept: it is found out once more where a row differs.
    """

    user: User
    records: Sequence[LogRecord]
    noted: list[Entry]
    """What the trail can tell of, and what did not count."""
    changes: list[Arrival]


async def verify_partition(
    job: Job, source: LogSource, connection: asyncpg.Connection, progress: Callable[[int], None]
) -> Part:
    """Fold one partition a second time and compare it with what `connection` sees.

    `progress` is told how many offsets of the log were read since the last call.
    """
    part = Part(job.partition)
    topics = job.topics
    events = await _by_key(source, topics.events.name, job, progress)
    changes = await _by_key(source, topics.tier_changes.name, job, progress)
    if job.selection.is_all:
        letters = topics.dead_letters.name
        async for _, records in source.read(letters, {}, job.end_of(letters), passed=progress):
            for letter in _decoded(records, decode_letter):
                part.shared.refused(letter)
    aggregates = Aggregates()
    streams, key = topics.user_aggregates.name, job.selection.key
    if streams in job.ends:
        async for _, records in source.read(streams, {}, job.end_of(streams), key):
            for record in job.selection.of(records):
                aggregates.add(record)
    decoder, change_decoder = Decoder(job.partitions), TierChangeDecoder(job.partitions)
    for chunk in _together(events, changes):
        histories: dict[int, Folded] = {}
        for key in chunk:
            history = History(decoder.decode_plain, job.refused)
            records = events.pop(key, ())
            noted = _noted(history, records)
            moves = list(_decoded(changes.pop(key, ()), change_decoder.decode))
            history.take_tier_changes(moves)
            part.records += len(records)
            part.verdicts[Verdict.COUNTED.value] += history.counted
            if history.counted < len(records):
                part.verdicts.update(e.verdict.value for e in noted if e.verdict is not Verdict.COUNTED)
            if history.user is None:
                for entry in noted:
                    if entry.verdict is Verdict.COUNTED and entry.event is not None:
                        part.shared.describe(entry.event)
                continue
            histories[history.user.telegram_id] = Folded(history.user, records, noted, moves)
            part.shared.add(history.user)
            if key is not None and aggregates.comparable(key, history):
                part.aggregates += 1
                for difference in aggregates.compare(key, history):
                    part.differences.add(difference)
        await _compare(part, connection, histories, job)
    return part


def _together(
    events: Mapping[bytes | None, Sequence[LogRecord]], changes: Mapping[bytes | None, Sequence[LogRecord]]
) -> Iterator[list[bytes | None]]:
    """Divide the keys into groups that are compared together."""
    group: list[bytes | None] = []
    records = 0
    for key in dict.fromkeys([*events, *changes]):
        group.append(key)
        records += len(events.get(key, ()))
        if len(group) == USERS_AT_ONCE or records >= RECORDS_AT_ONCE:
            yield group
            group, records = [], 0
    if group:
        yield group


async def _by_key(
    source: LogSource, topic: str, job: Job, progress: Callable[[int], None]
) -> dict[bytes | None, list[LogRecord]]:
    found: defaultdict[bytes | None, list[LogRecord]] = defaultdict(list)
    async for _, records in source.read(topic, {}, job.end_of(topic), job.selection.key, progress):
        for record in job.selection.of(records):
            found[record.key].append(record)
    return found


def _decoded(records: Sequence[LogRecord], decode: Callable[[LogRecord], Any]) -> Iterator[Any]:
    for record in records:
        try:
            event = decode(record)
        except InvalidEvent:
            continue
        yield arrival_of(event, record)


def _noted(history: History, records: Iterable[LogRecord]) -> list[Entry]:
    """Read the records, one after the other, and return what is of interest later; the rest is forgotten at once."""
    noted = []
    for record in records:
        event, verdict, why_not = history.judge(record)
        if history.user is None or event is None or verdict is not _COUNTED or KINDS[event["type"]] in TOLD:
            noted.append(Entry(record, event, verdict, why_not))
    return noted


def _entries(job: Job, records: Sequence[LogRecord]) -> list[Entry]:
    history = History(Decoder(job.partitions).decode_plain, job.refused)
    return [history.read(record) for record in records]


async def _compare(part: Part, connection: asyncpg.Connection, histories: Mapping[int, Folded], job: Job) -> None:
    part.users.update(histories)
    users = list(histories)
    folded = rows_of([found.user for found in histories.values()], job.horizons)
    trail = await _stored_trail(connection, users, job.ends)
    written = {(row["topic"], row["log_partition"], row["log_offset"]) for row in trail}
    folded["audit_log"] = {}
    for found in histories.values():
        folded["audit_log"].update(trail_of(found.noted, found.changes, written))
    entries: dict[int, list[Entry]] = {}
    for table in (*USER_TABLES, "audit_log"):
        records = trail if table == "audit_log" else await stored_records(connection, table, users, job.horizons)
        part.rows[table] += len(records)
        if agree(table, records, folded[table]):
            continue
        stored = dict(stored_row(table, record) for record in records)
        for key, difference in (*compare(table, stored, folded[table]), *_repeated(table, records)):
            if not part.differences.full:
                user = _user_of(table, key, stored, folded)
                if user not in entries:
                    entries[user] = _entries(job, histories[user].records)
                difference = difference._replace(events=events_behind(difference, key, entries[user]))
            part.differences.add(difference)


async def _stored_trail(
    connection: asyncpg.Connection, users: Sequence[int], ends: Mapping[str, int]
) -> list[asyncpg.Record]:
    """The trail's rows about these users; tables that were taken back to an older generation may lie behind it."""
    rows = await connection.fetch(query("verify", "audit_log"), users)
    return [row for row in rows if row["log_offset"] < ends.get(row["topic"], row["log_offset"] + 1)]


def _repeated(table: str, records: Sequence[asyncpg.Record]) -> Iterator[tuple[Key, Difference]]:
    for key, rows in repeated(table, records).items():
        yield key, Difference(table, dict(zip(key_columns(table), key, strict=True)), "rows", rows, 1)


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
            if rows:
                folded[table].update(rows)
    return folded


async def stored_records(
    connection: asyncpg.Connection, table: str, users: Sequence[int], horizons: Horizons
) -> list[asyncpg.Record]:
    """Return the users' stored rows in a table."""
    records: list[asyncpg.Record] = await connection.fetch(query("verify", table), users)
    horizon = horizons.get(table)
    if horizon is None or table not in HORIZON_OF:
        return records
    return [record for record in records if record[HORIZON_OF[table]] >= horizon]
