"""Has this process been frozen for longer than its group session? Then its partitions may belong to another one."""

from __future__ import annotations

import asyncio
import time

from schemas.errors import ServiceStopped

BEAT_SECONDS = 0.25


def _now() -> float:
    # Unlike the monotonic clock this one goes on while the machine is suspended.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Liveness:
    """Beats on the event loop; a gap between two beats as long as the session means that this worker was frozen."""

    def __init__(self, session_timeout_seconds: float) -> None:
        self._session_timeout_seconds = session_timeout_seconds
        self._last_beat = _now()

    @property
    def silent_seconds(self) -> float:
        """How long ago the last beat was."""
        return _now() - self._last_beat

    def check(self) -> None:
        """Raise ServiceStopped if the session may have ended since the last beat. Call it before every write."""
        silent = self.silent_seconds
        if silent >= self._session_timeout_seconds:
            raise ServiceStopped(
                f"this worker was frozen for {silent:.1f} s, longer than its group session of "
                f"{self._session_timeout_seconds:.0f} s: its partitions may belong to another worker; "
                "nothing was written, a restart carries on"
            )

    async def beat(self) -> None:
        """Run for as long as the worker does; raises as `check`."""
        while True:
            self.check()
            self._last_beat = _now()
            await asyncio.sleep(BEAT_SECONDS)
