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
        await self._store.write(statement, row)

    async def all(self) -> list[tuple[str, Any]]:
        """Return names and contents, the oldest first."""
        if self._store is None:
            return []
        query = "SELECT name, content FROM kept WHERE kind = ? ORDER BY position"
        return [(name, json.loads(content)) for name, content in await self._store.rows(query, self._kind)]

    async def forget(self, name: str) -> None:
        """Forget an input whose events are accepted."""
        if self._store is not None:
            await self._store.write("DELETE FROM kept WHERE kind = ? AND name = ?", (self._kind, name))

    async def count(self) -> int:
        """Return how many inputs are kept."""
        if self._store is None:
            return 0
        (count,) = await self._store.row("SELECT count(*) FROM kept WHERE kind = ?", self._kind)
        return int(count)
