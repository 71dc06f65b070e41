"""Named points at which a fault test kills or freezes a service's process.

    BOTPULSE_CRASH_POINT=<name>[:<nth time>]     as by kill -9
    BOTPULSE_FREEZE_POINT=<name>[:<nth time>]    as by kill -STOP, until somebody sends SIGCONT

Of streams the names are the moments right after a step of a batch: `folded` (nothing sent yet), `sent` (letters, tier
changes and ledger entries acknowledged), `changelog` (aggregates acknowledged), `stored` (local state updated), and
`acked`.
Of projections they are moments of the writing of a batch: `before_begin`, `after_cas`, `after_rows`, `before_commit`,
`after_commit`.
"""

from __future__ import annotations

import os
import signal


class _Point:
    def __init__(self, setting: str, action: signal.Signals) -> None:
        self.name, _, nth = os.environ.get(setting, "").partition(":")
        self.left = int(nth or 1)
        self.action = action


_points = [
    _Point("BOTPULSE_CRASH_POINT", signal.SIGKILL),
    _Point("BOTPULSE_FREEZE_POINT", signal.SIGSTOP),
]


def reached(name: str) -> None:
    """Die or freeze here if this is the point and the time that was asked for."""
    for point in _points:
        if point.name == name:
            point.left -= 1
            if point.left == 0:
                os.kill(os.getpid(), point.action)
