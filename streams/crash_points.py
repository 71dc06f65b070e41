"""Named points at which a fault test kills this process: BOTPULSE_CRASH_POINT=<name>[:<nth time>].

The names are the moments right after a step of a batch: `folded` (nothing sent yet), `sent` (letters, tier changes
and ledger entries acknowledged), `changelog` (aggregates acknowledged), `stored` (local state updated), `acked`.
"""

from __future__ import annotations

import os
import signal

_name, _, _nth = os.environ.get("BOTPULSE_CRASH_POINT", "").partition(":")
_left = int(_nth or 1)


def reached(name: str) -> None:
    """Die here, as by kill -9, if this is the point and the time that was asked for."""
    global _left
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
