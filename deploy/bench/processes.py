"""The processes under measurement: started, watched, weighed, ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from deploy.bench.errors import WorkerDiedError

STOP_SECONDS: Final = 20.0
# What these name may not reach a worker: it uses the benchmark's own stack.
_FOREIGN: Final = ("KAFKA_", "DATABASE_URL", "BOTPULSE_", "STREAMS_", "PROJECTIONS_")


class Worker:
    """One process of `python -m MODULE`. It ends when this process does, and works in `folder` (Faust leaves files)."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        self.started_at = time.monotonic()
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "deploy.demo.child", module, str(os.getpid())],
                env={**inherited, **environment},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._process = psutil.Process(self._popen.pid)

    def check(self) -> None:
        """Raise WorkerDiedError when the process has ended."""
        status = self._popen.poll()
        if status is not None:
            raise WorkerDiedError(self.name, status, self.log)

    def cpu_seconds(self) -> float:
        """Processor time so far, user and kernel: to the nanosecond on Linux, elsewhere as the system counts."""
        self.check()
        if sys.platform == "linux":
            return time.clock_gettime(_cpu_clock(self._popen.pid))
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        """The memory that it holds now."""
        self.check()
        return int(self._process.memory_info().rss)

    def peak_bytes(self) -> int:
        """The most memory that it ever held (where the system doesn't say: what it holds now)."""
        self.check()
        try:
            status = Path(f"/proc/{self._popen.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return self.resident_bytes()
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else self.resident_bytes()

    def kill(self) -> None:
        """As kill -9; returns when it has ended."""
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()

    def stop(self) -> None:
        """SIGTERM, and kill -9 for one that doesn't end; returns when it has ended."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


def _cpu_clock(pid: int) -> int:
    """The id of a process's processor-time clock, as clock_getcpuclockid(3) makes it.

    /proc counts in ticks of 10 ms, too coarse for a measurement over a few thousand events.
    """
    return (~pid << 3) | 2


@contextmanager
def running(*workers: Worker) -> Iterator[None]:
    """Kills the workers at the end, whatever the end is."""
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()


def cpu_seconds_of_tree(pid: int) -> float:
    """Processor time of a server with all children that are alive, ended ones as far as they were waited for."""
    root = psutil.Process(pid)
    used = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
        if process is root:
            used += times.children_user + times.children_system
    return used
