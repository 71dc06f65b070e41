"""Whose the objects of a payment provider are, as far as that was learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .store import Store

THROUGH_TELEGRAM: Final = "telegram:"
"""Before a provider's id of a charge that came through Telegram Payments: the updates tell that one."""


class Links:
    """From a provider's ids to telegram_ids; without a store they last as long as the process."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._known: dict[str, int] = {}

    async def learn(self, names: Sequence[str], telegram_id: int) -> bool:
        """Remember whose these are, where that is not known; whether anything was new. Raises sqlite3.Error."""
        new = [name for name in names if name not in self._known]
        if not new:
            return False
        if self._store is not None:
            rows = [(name, telegram_id) for name in new]
            await self._store.write("INSERT OR IGNORE INTO links (name, telegram_id) VALUES (?, ?)", *rows)
        self._known.update(dict.fromkeys(new, telegram_id))
        return True

    async def find(self, names: Iterable[str]) -> int | None:
        """Return whose the first of them is that is known. Raises sqlite3.Error."""
        for name in names:
            if name not in self._known and self._store is not None:
                row = await self._store.row("SELECT telegram_id FROM links WHERE name = ?", name)
                if row is not None:
                    self._known[name] = row[0]
            if name in self._known:
                return self._known[name]
        return None
