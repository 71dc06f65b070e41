"""The guardian's own process: `python -m deploy.local.guardian_process HOME START_ID [wipe]`.

It reads its standard input, a pipe whose other end only the starter holds. The line "release" ends it without a deed.
The end of the pipe without that line means that the starter is gone (even by kill -9): it then stops what that very
start started, and with `wipe` removes the home.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.local.guardian import RELEASE
from deploy.local.stack import LocalStack
from schemas.errors import BotpulseError


def main() -> int:
    """Wait for the starter's word or death."""
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
