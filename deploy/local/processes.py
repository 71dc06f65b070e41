"""Starting and stopping server processes so that none is ever left behind and none of somebody else's is ever hit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import psutil  # type: ignore[import-untyped]
from psutil import Process

__all__ = ["Process", "ProcessIdentity", "base_environment", "opened_log", "resident_bytes", "spawn", "stop", "strays"]

from deploy.local.errors import NEW_START
from deploy.local.places import Account

STOP_SECONDS = 20.0
ROTATE_BYTES = 5_000_000

# Children of this very process, so that they can be reaped (a dead child that nobody waits for stays a zombie).
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class ProcessIdentity:
    """One run of a program: a pid alone may be given to somebody else's process later.

    `started` is the process's start in seconds since the epoch; `marker` an argument of its command line that no
    program but ours has (the path of its data).
    """

    pid: int
    started: float
    marker: str

    def process(self) -> Process | None:
        """The process while it is this one and alive, else None."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            del _children[self.pid]
            return None
        try:
            process = Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            # The start time is counted from the boot, whose own time moves a little when the clock is set.
            if abs(process.create_time() - self.started) > 2.0 or self.marker not in process.cmdline():
                return None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process


def spawn(
    command: Sequence[str],
    *,
    marker: str,
    account: Account,
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
) -> ProcessIdentity:
    """Start a server in a session of its own (a Ctrl-C in our terminal doesn't reach it), its output going to `log`."""
    if marker not in command:
        raise ValueError("the marker must be an argument of the command")
    with opened_log(log, command[0]) as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**base_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **account.popen_arguments(),
        )
    _children[child.pid] = child
    try:
        started = Process(child.pid).create_time()
    except psutil.NoSuchProcess:  # gone already: the caller's wait for readiness reports it
        started = time.time()
    return ProcessIdentity(child.pid, started, marker)


@contextlib.contextmanager
def opened_log(log: Path, program: str) -> Iterator[BinaryIO]:
    """The log, open for a program's output, after a line that says when it was started. A large one is set aside."""
    if log.exists() and log.stat().st_size > ROTATE_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    with log.open("ab") as output:
        output.write(f"\n{NEW_START}{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {program}\n".encode())
        output.flush()
        yield output


def base_environment() -> dict[str, str]:
    """The environment of our servers: nothing of the caller's but PATH, so that no setting of his changes them."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def strays(markers: Iterable[str]) -> list[Process]:
    """Processes of ours that no state file knows (a starter killed between starting one and noting it)."""
    wanted = set(markers)
    found = []
    for process in psutil.process_iter():
        try:
            if wanted.intersection(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def stop(processes: Iterable[tuple[Process, signal.Signals]], seconds: float = STOP_SECONDS) -> None:
    """Ask every process to end with its signal and return when all ended; after `seconds` kill what is left."""
    asked = list(processes)
    families = [process for main, _ in asked for process in _family(main)]
    for process, how in asked:
        _signal(process, how)
    _, alive = psutil.wait_procs([process for process, _ in asked], timeout=seconds)
    if alive:
        families += [process for main in alive for process in _family(main)]
    # Children that outlive their parent (they end by themselves normally) get a moment, then the same end.
    _, alive = psutil.wait_procs(families, timeout=0 if alive else 5.0)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=seconds)
    _reap()


def _family(process: Process) -> list[Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def _signal(process: Process, how: signal.Signals) -> None:
    try:
        process.send_signal(how)  # psutil refuses when the pid belongs to another process by now
    except psutil.NoSuchProcess:
        return


def _reap() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def resident_bytes(process: Process) -> int:
    """The memory that a process and its children hold, shared pages counted in each."""
    total = 0
    for one in _family(process):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += int(one.memory_info().rss)
    return total
