"""The runner's one database connection: opened again, with growing random pauses, whenever it is lost."""

from __future__ import annotations

import contextlib
import random
from typing import Final

import asyncpg
import structlog

from projections.database import open_connection
from projections.settings import Settings

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Session:
    """At most one open connection. `number` grows with each new one."""

    def __init__(self, settings: Settings, connection: asyncpg.Connection | None = None) -> None:
        self._settings = settings
        self._connection = connection
        self._failures = 0
        self.number = 0 if connection is None else 1

    @property
    def connection(self) -> asyncpg.Connection | None:
        """The open connection, if there is one."""
        return self._connection

    async def open(self) -> asyncpg.Connection:
        """Return the connection, a new one if the last was lost. Raises what connecting raises."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await open_connection(
                self._settings.database_url,
                application_name="botpulse-projections",
                lock_timeout_ms=int(self._settings.lock_timeout_seconds * 1000),
                idle_in_transaction_ms=int(self._settings.idle_in_transaction_seconds * 1000),
            )
            self.number += 1
        return self._connection

    def works(self) -> None:
        """A batch or a claim went through: the next pause is a short one again."""
        self._failures = 0

    def lose(self, error: BaseException) -> float:
        """Give the connection up; return how many seconds to wait before the next attempt.

        Exponential with full jitter: workers that lost the same database don't come back in step.
        """
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.terminate()
            self._connection = None
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        pause = random.uniform(0, longest)  # noqa: S311
        log.warning("Postgres is away", error=f"{type(error).__name__}: {error}", next_attempt_seconds=round(pause, 2))
        return pause

    async def close(self) -> None:
        """Close in good order, or drop what can't be."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=2.0)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()
