"""What a tracker remembers: each user's last published profile, and when an update without a time was first seen.

In the publisher's store where there is one, so that a restart repeats nothing; a lost memory only repeats profiles.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final

from ..publisher.store import Store

Profile = dict[str, Any]

_PROFILES_AT_HAND: Final = 100_000
_MOMENTS_KEPT: Final = 10_000
"""Telegram gives an update again for a day at most."""


class Memory:
    """Profiles and moments; without a store they last as long as the process."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._profiles: OrderedDict[int, Profile] = OrderedDict()
        self._moments: OrderedDict[int, datetime] = OrderedDict()

    async def profile(self, telegram_id: int) -> Profile | None:
        """Return the profile that was published last, None for a user that was never seen. Raises sqlite3.Error."""
        known = self._profiles.get(telegram_id)
        if known is None and self._store is not None:
            row = await self._store.row("SELECT profile FROM profiles WHERE telegram_id = ?", telegram_id)
            if row is not None:
                known = json.loads(row[0])
                self.hold(telegram_id, known)
        return known

    async def keep_profile(self, telegram_id: int, profile: Profile) -> None:
        """Remember what was published. Raises sqlite3.Error."""
        self.hold(telegram_id, profile)
        if self._store is not None:
            statement = "INSERT OR REPLACE INTO profiles (telegram_id, profile) VALUES (?, ?)"
            row = (telegram_id, json.dumps(profile, ensure_ascii=False))
            await self._store.write(statement, row)

    async def moment(self, update_id: int) -> datetime:
        """Return when this update was seen first: now, or what was remembered. Raises sqlite3.Error."""
        now = datetime.now(UTC).replace(microsecond=0)
        if self._store is None:
            known = self._moments.setdefault(update_id, now)
            while len(self._moments) > _MOMENTS_KEPT:
                self._moments.popitem(last=False)
            return known

        def first(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT OR IGNORE INTO moments (update_id, at) VALUES (?, ?)", (update_id, str(now)))
            connection.execute(
                "DELETE FROM moments WHERE position <= (SELECT max(position) FROM moments) - ?", (_MOMENTS_KEPT,)
            )
            query = "SELECT at FROM moments WHERE update_id = ?"
            return str(connection.execute(query, (update_id,)).fetchone()[0])

        return datetime.fromisoformat(await self._store.run(first))

    def hold(self, telegram_id: int, profile: Profile) -> None:
        """Take a profile as published, for this process."""
        self._profiles[telegram_id] = profile
        self._profiles.move_to_end(telegram_id)
        while len(self._profiles) > _PROFILES_AT_HAND:
            self._profiles.popitem(last=False)

    def forget(self, telegram_id: int) -> None:
        """Take back `hold`."""
        self._profiles.pop(telegram_id, None)
