"""`python -m deploy.demo.child MODULE`: becomes `python -m MODULE`, and ends when the demo does, even by kill -9."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Ask the kernel for a SIGTERM at the parent's death (Linux only; it survives the exec), then become the module."""
    module, parent = sys.argv[1], int(sys.argv[2])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it has died already
            sys.exit(1)
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606


if __name__ == "__main__":
    main()
