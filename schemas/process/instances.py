"""A worker's name in its consumer group: the same after a restart, so that the broker knows it again."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path


def claim_instance_id(group: str) -> str:
    """Return `<host>-<slot>`: the first slot of this host that no living worker of the group holds.

    The slot is a locked file that stays open until the process ends, however it ends. A worker that is restarted after
    a kill gets the slot of the one before, and the broker gives it the same partitions at once instead of waiting for
    the dead member's session to end.
    """
    folder = Path(tempfile.gettempdir()) / f"botpulse-slots-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    slot = 0
    while True:
        descriptor = os.open(folder / f"{group}-{slot}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            slot += 1
        else:
            return f"{socket.gethostname()}-{slot}"
