"""Looking for processes, and waiting for what they do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]


def processes_of(home: Path) -> list[str]:
    """The command lines of all processes that name this folder or anything in it, but for our own."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and any(str(home) in word for word in words):
            found.append(" ".join(words))
    return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Return once the condition holds; fail with `what` after a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)
