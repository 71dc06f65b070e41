"""Workers as processes, each watched by a supervisor that restarts it and judges how it ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOREIGN: Final = ("KAFKA_", "DATABASE_URL", "BOTPULSE_", "STREAMS_", "PROJECTIONS_")
_POLL_SECONDS: Final = 0.03
STOP_SECONDS: Final = 25.0
"""A worker that was asked to stop and has not after this time is an error."""
_AT_WORK: Final = {"streams": "at work", "projections": "claimed"}
_OUTAGE_WORDS: Final = re.compile(r"no Postgres answers|no Kafka")
"""Who finds nobody at the address at a start can't tell an outage from a wrong setting."""

_LIBRARY_NOISE: Final = re.compile(r'"logger": "aiokafka')
"""What the Kafka client logs of its own before it raises; what counts is how the service takes it."""


@dataclass(frozen=True)
class Exit:
    """How a worker ended; `problem` is empty when that is as it should be."""

    worker: str
    status: int
    asked: str
    seconds: float
    last_line: str
    problem: str


class Worker:
    """One process of a service. Its output goes to a file of its own."""

    def __init__(self, service: str, name: str, tree: Path, environment: Mapping[str, str], log: Path) -> None:
        self.service = service
        self.name = name
        self.log = log
        self.asked = ""
        """What the campaign has done to end it: kill, term, crash_point."""
        self.started = time.monotonic()
        own = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        with log.open("ab") as output:
            # The child ends with this process, however that ends; the code is the tree's, not this one's.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.demo.child", service, str(os.getpid())],
                cwd=tree,
                env={**own, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status; None while it lives."""
        return self._process.poll()

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def frozen(self) -> bool:
        """Whether the process is stopped by a signal."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] in ("T", "t")

    @property
    def at_work(self) -> bool:
        """Whether it has said that it has joined its group."""
        return _AT_WORK[self.service] in self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals, asked: str = "") -> None:
        """Send a signal; `asked` notes that it means the end."""
        if self.alive:
            self.asked = asked or self.asked
            self._process.send_signal(number)

    async def ended(self, seconds: float | None = None) -> bool:
        """Wait for the end; False when the time is over before."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while self.alive:
            if deadline is not None and time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition of a living worker; False when it ends or the time is over before."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.alive or time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def judge(self, *, outage: bool) -> Exit:
        """How it ended, after its end. `outage`: Kafka or Postgres was away a moment ago."""
        status = self._process.wait()
        text = self.log.read_text(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        words = [line for line in lines if line.startswith(f"botpulse {self.service}: ")]
        last = (words or lines or [""])[-1][:300]
        problem = _problem(self.service, status, self.asked, last, outage=outage)
        if any("Traceback" in line and not _LIBRARY_NOISE.search(line) for line in lines):
            problem = f"a traceback in {self.log}" + (f"; {problem}" if problem else "")
        return Exit(self.name, status, self.asked, round(self.age, 1), last, problem)


def _problem(service: str, status: int, asked: str, last: str, *, outage: bool) -> str:
    told = last.startswith(f"botpulse {service}: ")
    match status:
        case 0:
            return "" if asked == "term" else "it ended by itself with status 0"
        case 1:
            return "" if told and "unexpected error" not in last else "status 1 without its own word why"
        case 2:
            return "" if told and outage and _OUTAGE_WORDS.search(last) else f"status 2: {last}"
        case -9:
            return "" if asked in ("kill", "crash_point") else "killed, and not by the campaign"
        case -15:
            # Before the service has its handlers.
            return "" if asked == "term" else "terminated, and not by the campaign"
        case _:
            return f"unknown status {status}"


class Slot:
    """One place of a service that always has a worker while it is kept, as a supervisor would."""

    def __init__(
        self,
        service: str,
        name: str,
        start: Callable[[str, str, Mapping[str, str]], Worker],
        ended: Callable[[Worker], Exit],
    ) -> None:
        self.service = service
        self.name = name
        self.worker: Worker | None = None
        self.next_environment: dict[str, str] = {}
        """Settings of the next worker alone."""
        self.lock = asyncio.Lock()
        """Held by the fault that is upon this slot."""
        self._start = start
        self._ended = ended
        self._kept = False
        self._task: asyncio.Task[None] | None = None

    def keep(self) -> None:
        """Start a worker, and another one whenever one ends."""
        self._kept = True
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        failures = 0
        while self._kept:
            environment, self.next_environment = self.next_environment, {}
            worker = self.worker = self._start(self.service, self.name, environment)
            await worker.ended()
            result = self._ended(worker)
            by_itself = result.status > 0 and worker.age < 10
            failures = failures + 1 if by_itself else 0
            if self._kept:
                await asyncio.sleep(min(2.0, 0.1 * 2**failures))

    async def current(self) -> Worker:
        """The living worker; waits while there is none."""
        while self.worker is None or not self.worker.alive:  # noqa: ASYNC110  # a process's end sets no event
            await asyncio.sleep(_POLL_SECONDS)
        return self.worker

    async def successor(self, of: Worker) -> Worker:
        """The worker after this one."""
        while self.worker is None or self.worker is of:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        return self.worker

    async def stop(self) -> bool:
        """Ask the worker to stop and start no other; False when it had to be killed."""
        self._kept = False
        worker = self.worker
        in_time = True
        if worker is not None and worker.alive:
            worker.signal(signal.SIGTERM, "term")
            in_time = await worker.ended(STOP_SECONDS)
            if not in_time:
                worker.signal(signal.SIGKILL, "kill")
        if self._task is not None:
            await self._task
        return in_time

    def kill(self) -> None:
        """End everything at once."""
        self._kept = False
        if self._task is not None:
            self._task.cancel()
        if self.worker is not None:
            self.worker.signal(signal.SIGKILL, "kill")
