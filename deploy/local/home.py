"""Where the local stack lives."""

from __future__ import annotations

import os
from pathlib import Path


def default_home() -> Path:
    """BOTPULSE_HOME, else `.botpulse` in the current directory; absolute."""
    return Path(os.environ.get("BOTPULSE_HOME") or ".botpulse").expanduser().absolute()
