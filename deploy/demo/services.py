"""The two services as the demo runs them: real processes, each with a log file, watched."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Never

import psutil  # type: ignore[import-untyped]

from deploy.local.errors import tail
from schemas.errors import BotpulseError

NAMES: Final = ("streams", "projections")
STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.2
# What these name may not reach the demo's services: they use the demo's own stack.
_FOREIGN: Final = ("KAFKA_", "DATABASE_URL", "BOTPULSE_", "STREAMS_", "PROJECTIONS_")


class ServiceDiedError(BotpulseError):
    """A service of the demo ended by itself; `log_tail` are the last lines of its log."""

    def __init__(self, name: str, status: int, log: Path) -> None:
        self.log_tail = tail(log)
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        super().__init__(f"{name} {how} (log: {log})")


class Services:
    """streams and projections. `tied` ones end with this process, however it ends."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, tied: bool) -> None:
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)},
            **environment,
        }
        self._tied = tied
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def log(self, name: str) -> Path:
        """Where a service's output goes."""
        return self._folder / f"{name}.log"

    @property
    def pids(self) -> dict[str, int]:
        """The processes by name."""
        return {name: process.pid for name, process in self._running.items()}

    def start(self) -> None:
        """Start both, in sessions of their own: a Ctrl-C in our terminal is ours to handle."""
        for name in NAMES:
            arguments = ["deploy.demo.child", name, str(os.getpid())] if self._tied else [name]
            with self.log(name).open("wb") as output:
                self._running[name] = subprocess.Popen(
                    [sys.executable, "-m", *arguments],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    async def watch(self) -> Never:
        """Runs until one of them dies: then raises ServiceDiedError."""
        while True:
            for name, process in self._running.items():
                status = process.poll()
                if status is not None:
                    raise ServiceDiedError(name, status, self.log(name))
            await asyncio.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """Stop both and return when they have ended; whoever takes longer than STOP_SECONDS is killed."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def resident_bytes(self) -> dict[str, int]:
        """The memory that each holds now."""
        return {name: int(psutil.Process(pid).memory_info().rss) for name, pid in self.pids.items()}
