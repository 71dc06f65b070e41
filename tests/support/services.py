"""The services as real processes: start, watch, kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_SECONDS = 60.0


class Service:
    """One process of `python -m <module>`; its output goes to a file. `code` is a folder with other packages."""

    def __init__(self, module: str, environment: dict[str, str], log: Path, code: Path | None = None) -> None:
        self.module = module
        self.log = log
        own = {
            k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "DATABASE_", "BOTPULSE_", "STREAMS_"))
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module], env={**own, **environment}, stdout=output, stderr=output, cwd=code
            )

    @property
    def output(self) -> str:
        """All that was printed so far."""
        return self.log.read_text()

    def kill(self) -> None:
        """As kill -9, also when it is stopped."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: the process keeps its connections and does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.process.wait(DEADLINE_SECONDS)

    async def exited(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Wait for the end; returns the exit status."""
        await eventually(lambda: self.process.poll() is not None, f"{self.module} ends", seconds)
        return self.process.wait()


@contextmanager
def service(module: str, environment: dict[str, str], log: Path, code: Path | None = None) -> Iterator[Service]:
    """A running service, killed at the end if it still runs."""
    running = Service(module, environment, log, code)
    try:
        yield running
    finally:
        running.kill()


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until a condition holds; fail naming it when it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if await result if isinstance(result, Awaitable) else result:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(0.05)
