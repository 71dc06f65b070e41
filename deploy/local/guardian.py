"""The guardian: a small process that stops the stack when the process that started it dies, however it dies.

`python -m deploy.local.guardian HOME START_ID [wipe]` reads its standard input, a pipe whose other end only the starter
holds. The line "release" ends it without a deed. The end of the pipe without that line means that the starter is gone
(even by kill -9): it then stops what that very start started, and with `wipe` removes the home.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from schemas.errors import BotpulseError

RELEASE = b"release\n"
RELEASE_SECONDS = 10


class Guardian:
    """The starter's side."""

    def __init__(self, home: Path, start_id: str, *, wipe: bool = False) -> None:
        command = [sys.executable, "-m", "deploy.local.guardian", str(home), start_id, *(["wipe"] if wipe else [])]
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


def main() -> int:
    """Wait for the starter's word or death."""
    from deploy.local.stack import LocalStack

    home, start_id, *rest = sys.argv[1:]
    if sys.stdin.buffer.read() == RELEASE:
        return 0
    try:
        LocalStack(Path(home)).stop_start(start_id, wipe="wipe" in rest)
    except BotpulseError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
