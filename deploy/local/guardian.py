"""The guardian: a small process that stops the stack when the process that started it dies, however it dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RELEASE = b"release\n"
RELEASE_SECONDS = 10


class Guardian:
    """The starter's side of deploy.local.guardian_process, at the other end of its standard input."""

    def __init__(self, home: Path, start_id: str, *, wipe: bool = False) -> None:
        command = [
            sys.executable,
            "-m",
            "deploy.local.guardian_process",
            str(home),
            start_id,
            *(["wipe"] if wipe else []),
        ]
        self._process = subprocess.Popen(command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def release(self) -> None:
        """End the guardian; the stack is on its own. A second call does nothing."""
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            return
        try:
            stdin.write(RELEASE)
            stdin.close()
        except OSError:  # it has ended already
            stdin.close()
        try:
            self._process.wait(RELEASE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
