"""Input that can't become events yet: kept as it came, in the publisher's store, until it can."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import NotPublished
from .store import Store

Json = Mapping[str, Any]


class Kept:
    """What is kept of one kind of input, each under a name of its own."""

    def __init__(self, store: Store | None, kind: str) -> None:
        self._store = store
        self._kind = kind

    async def keep(self, name: str, content: Json, reason: str) -> None:
        """Keep an input; on the disk on return. One that is kept already stays as it is.

        Raises NotPublished where the publisher has no spool, sqlite3.Error where the disk refuses.
        """
        if self._store is None:
            raise NotPublished("there is nowhere to keep it: give the publisher a spool")
        row = (self._kind, name, json.dumps(content), reason, str(datetime.now(UTC).replace(microsecond=0)))
        statement = "INSERT OR IGNORE INTO kept (kind, name, content, reason, since) VALUES (?, ?, ?, ?, ?)"
        await self._store.run(lambda connection: connection.execute(statement, row))

    async def all(self) -> list[tuple[str, Any]]:
        """Return names and contents, the oldest first."""
        if self._store is None:
            return []
        query = "SELECT name, content FROM kept WHERE kind = ? ORDER BY position"
        rows = await self._store.run(lambda connection: connection.execute(query, (self._kind,)).fetchall())
        return [(name, json.loads(content)) for name, content in rows]

    async def forget(self, name: str) -> None:
        """Forget an input whose events are accepted."""
        if self._store is not None:
            statement = "DELETE FROM kept WHERE kind = ? AND name = ?"
            await self._store.run(lambda connection: connection.execute(statement, (self._kind, name)))

    async def count(self) -> int:
        """Return how many inputs are kept."""
        if self._store is None:
            return 0
        query = "SELECT count(*) FROM kept WHERE kind = ?"
        row = await self._store.run(lambda connection: connection.execute(query, (self._kind,)).fetchone())
        return int(row[0])
