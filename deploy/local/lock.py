"""One start or stop of a home at a time, over all processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from deploy.local.progress import Progress


@contextlib.contextmanager
def exclusive(home: Path, progress: Progress) -> Iterator[None]:
    """Hold the home's lock; the system frees the lock of a holder that dies."""
    path = home / "lock"
    while True:
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("Waiting for another start or stop of this stack")
                fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield
                return
        # Its last holder wiped the home: this was the lock of a folder that is no more.
        home.mkdir(parents=True, exist_ok=True)
