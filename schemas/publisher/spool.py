"""Events that wait for Kafka, in the order in which they were given; what can't be sent is kept beside them."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from .store import Store

_log = logging.getLogger("botpulse.publisher")

_TAKEN: Final = 1000
"""Events that are read from the file at once."""


class Spooled(NamedTuple):
    """An event in the spool."""

    position: int
    key: bytes
    value: bytes


def _digest(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(len(key).to_bytes(4, "big") + key + value).digest()


class Spool:
    """The tables `spool` and `set_aside` of a store; the counts are those of the file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.events = 0
        self.bytes = 0
        self.set_aside = 0

    async def open(self) -> None:
        """Count what an earlier run left."""

        def counts(connection: sqlite3.Connection) -> tuple[int, int, int]:
            events, size = connection.execute(
                "SELECT count(*), coalesce(sum(length(key) + length(value)), 0) FROM spool"
            ).fetchone()
            (aside,) = connection.execute("SELECT count(*) FROM set_aside").fetchone()
            return events, size, aside

        self.events, self.bytes, self.set_aside = await self._store.run(counts)

    async def append(self, events: Sequence[tuple[bytes, bytes]]) -> None:
        """Add events (key, value) at the end, all of them or none; synced to the disk on return.

        Raises sqlite3.Error.
        """
        rows = [(key, value, _digest(key, value)) for key, value in events]
        await self._store.run(
            lambda connection: connection.executemany("INSERT INTO spool (key, value, digest) VALUES (?, ?, ?)", rows)
        )
        self.events += len(rows)
        self.bytes += sum(len(key) + len(value) for key, value, _ in rows)

    async def head(self) -> list[Spooled]:
        """The oldest events. A record that is not what was written is set aside with its bytes and reported.

        Empty when nothing waits any more. Raises sqlite3.Error.
        """
        while True:
            rows = await self._store.run(
                lambda connection: connection.execute(
                    "SELECT position, key, value, digest FROM spool ORDER BY position LIMIT ?", (_TAKEN,)
                ).fetchall()
            )
            whole = [Spooled(position, key, value) for position, key, value, digest in rows if _is(key, value, digest)]
            if len(whole) < len(rows):
                found = {spooled.position for spooled in whole}
                broken = [position for position, *_ in rows if position not in found]
                await self.put_aside(broken, "its bytes are not those that were written")
            if whole or not rows:
                return whole

    async def remove(self, events: Iterable[Spooled]) -> None:
        """Forget events that are on the log. Raises sqlite3.Error."""
        gone = list(events)
        await self._store.run(
            lambda connection: connection.executemany(
                "DELETE FROM spool WHERE position = ?", [(spooled.position,) for spooled in gone]
            )
        )
        self.events -= len(gone)
        self.bytes -= sum(len(spooled.key) + len(spooled.value) for spooled in gone)

    async def put_aside(self, positions: Sequence[int], reason: str) -> None:
        """Take records out of the order, keeping their bytes. Raises sqlite3.Error."""

        def move(connection: sqlite3.Connection) -> int:
            size = 0
            for position in positions:
                connection.execute(
                    "INSERT INTO set_aside (position, reason, key, value, digest) "
                    "SELECT position, ?, key, value, digest FROM spool WHERE position = ?",
                    (reason, position),
                )
                size += connection.execute(
                    "SELECT length(key) + length(value) FROM spool WHERE position = ?", (position,)
                ).fetchone()[0]
                connection.execute("DELETE FROM spool WHERE position = ?", (position,))
            return size

        self.bytes = max(self.bytes - await self._store.run(move), 0)
        self.events -= len(positions)
        self.set_aside += len(positions)
        for position in positions:
            _log.error("record %d of the spool is set aside in the table set_aside: %s", position, reason)


def _is(key: object, value: object, digest: object) -> bool:
    return isinstance(key, bytes) and isinstance(value, bytes) and digest == _digest(key, value)
