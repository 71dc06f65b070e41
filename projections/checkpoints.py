"""Checkpoints: how far each partition is applied, fenced against every writer but the last that claimed it.

Rows and checkpoint move in one transaction. Whoever claims a partition raises its epoch; the first statement of a batch
is a compare-and-set of (epoch, next offset), so a writer that was frozen, cut off or replaced changes nothing, whatever
it still believes.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import structlog

from projections import sql
from schemas.errors import FencedOut
from schemas.records import LogRecord

DIGEST_BYTES: Final = 16
CLAIM_ATTEMPTS: Final = 5

log = structlog.get_logger(__name__)


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A partition that this worker has claimed, and where it stands."""

    place: Place
    epoch: int
    next_offset: int
    last_offset: int | None
    """The offset of the last record that was read, None before the first."""
    record_digest: bytes | None

    def after(self, move: Move) -> Lease:
        """Return the lease as a committed move leaves it."""
        last = move.last_record
        return replace(
            self,
            next_offset=move.next_offset,
            last_offset=self.last_offset if last is None else last.offset,
            record_digest=self.record_digest if last is None else record_digest(last),
        )


@dataclass(frozen=True, slots=True)
class Move:
    """What one batch does to one partition's checkpoint."""

    place: Place
    epoch: int
    expected_offset: int
    next_offset: int
    last_record: LogRecord | None
    """None when the batch only passed over a gap: transaction markers, aborted or removed records."""
    last_appended_at: datetime | None
    applied: int
    duplicates: int
    invalid: int


def owner_name() -> str:
    """Return what the checkpoints name this worker by: host and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"


def record_digest(record: LogRecord) -> bytes:
    """Return 16 bytes that name a record's key, value and broker time, unambiguously."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in (record.key, record.value):
        digest.update(struct.pack(">q", -1 if part is None else len(part)))
        digest.update(part or b"")
    digest.update(struct.pack(">q", record.timestamp))
    return digest.digest()


async def generation(connection: asyncpg.Connection) -> int:
    """Return what tells this generation of the tables from the one that a rebuild puts in its place."""
    return int(await connection.fetchval(sql.query("checkpoints", "generation")))


async def claim(connection: asyncpg.Connection, place: Place, owner: str) -> Lease:
    """Become the partition's owner; from the return on, no older writer can commit a batch of it.

    A predecessor that holds the row for longer than the session's lock_timeout is frozen or cut off: its backend is
    terminated. Each partition is claimed in a transaction of its own, so that a claim never holds one row while it
    waits for another.
    """
    row = await _patiently(
        connection,
        place,
        sql.query("checkpoints", "claim"),
        place.topic,
        place.partition,
        owner,
        *await _backend(connection),
    )
    assert row is not None, "an upsert returns its row"
    return Lease(place, row["epoch"], row["next_offset"], row["last_offset"], row["record_digest"])


async def renew(connection: asyncpg.Connection, lease: Lease) -> int:
    """Go on with a new connection; return the partition's next offset, final even if a commit was in doubt.

    Raises FencedOut if another worker has claimed the partition since.
    """
    place = lease.place
    row = await _patiently(
        connection,
        place,
        sql.query("checkpoints", "renew"),
        place.topic,
        place.partition,
        lease.epoch,
        *await _backend(connection),
    )
    if row is None:
        raise FencedOut(f"{place}: another worker claimed this partition while the database was away")
    return int(row["next_offset"])


@asynccontextmanager
async def as_login(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction with the rights of the login: about backends Postgres tells, and ends, only a login's own."""
    async with connection.transaction():
        await connection.execute(sql.query("checkpoints", "act_as_login"))
        yield


async def _backend(connection: asyncpg.Connection) -> tuple[int, datetime]:
    """The process id and start of this session's backend."""
    async with as_login(connection):
        row = await connection.fetchrow(sql.query("checkpoints", "own_backend"))
    assert row is not None, "a session has a backend"
    return row["pid"], row["backend_start"]


async def _terminate_owner(connection: asyncpg.Connection, place: Place) -> bool:
    """End the backend of the recorded owner, if it is still the same one; return whether there was one to end."""
    recorded = await connection.fetchrow(sql.query("checkpoints", "recorded_owner"), place.topic, place.partition)
    if recorded is None:
        return False
    async with as_login(connection):
        return bool(await connection.fetchval(sql.query("checkpoints", "terminate_backend"), *recorded))


async def _patiently(
    connection: asyncpg.Connection, place: Place, statement: str, *arguments: object
) -> asyncpg.Record | None:
    for _ in range(CLAIM_ATTEMPTS):
        try:
            return await connection.fetchrow(statement, *arguments)
        except asyncpg.LockNotAvailableError:
            ended = await _terminate_owner(connection, place)
            log.warning("a frozen owner held the partition", place=str(place), backend_terminated=ended)
    return await connection.fetchrow(statement, *arguments)


async def advance(connection: asyncpg.Connection, moves: Sequence[Move]) -> None:
    """Move the checkpoints of a batch: the first statement of its transaction.

    Raises FencedOut unless every partition was at the epoch and the offset that the batch begins with; the caller
    rolls back.
    """
    moved = await connection.fetch(
        sql.query("checkpoints", "advance"),
        [move.place.topic for move in moves],
        [move.place.partition for move in moves],
        [move.epoch for move in moves],
        [move.expected_offset for move in moves],
        [move.next_offset for move in moves],
        [None if move.last_record is None else move.last_record.offset for move in moves],
        [None if move.last_record is None else record_digest(move.last_record) for move in moves],
        [move.last_appended_at for move in moves],
        [move.applied for move in moves],
        [move.duplicates for move in moves],
        [move.invalid for move in moves],
    )
    if len(moved) != len(moves):
        lost = {move.place for move in moves} - {Place(row["topic"], row["partition"]) for row in moved}
        names = ", ".join(sorted(map(str, lost)))
        raise FencedOut(f"{names}: another worker took over; nothing of this batch was written")
