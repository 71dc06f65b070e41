"""Errors of the local stack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import BotpulseError, ConfigurationError

NEW_START = "=== "  # begins the line that each start writes to the log before the server writes its own


class LocalStackError(BotpulseError):
    """A part of the local stack could not be started, reached or stopped; the message says which and why."""


class StartError(LocalStackError):
    """A service ended or kept silent while it was started; nothing of it runs any more.

    `log` is the file with the service's own words, `log_tail` its last lines.
    """

    def __init__(self, service: str, why: str, log: Path) -> None:
        self.log = log
        self.log_tail = tail(log)
        said = telling_line(self.log_tail)
        super().__init__(f"{service} did not start: {why}{f'; it said: {said}' if said else ''} (log: {log})")


class MissingPartError(ConfigurationError):
    """A wheel, a jar or a place on the disk that the local stack needs is not there."""


def telling_line(lines: Sequence[str]) -> str:
    """The line of a log's end that says best what went wrong: the last one about an error, else the last."""
    written = [line.strip() for line in lines if line.strip() and not re.match(r"\s+(at |\.\.\. \d+ more)", line)]
    errors = [line for line in written if re.search(r"\b(ERROR|FATAL|PANIC|Error|error|\w+Exception)\b", line)]
    return next(reversed(errors or written), "")[:300]


def tail(path: Path, lines: int = 20, limit: int = 64 * 1024) -> list[str]:
    """The last lines of what the newest start wrote to a log, [] where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    _, newest, said = text.rpartition(f"\n{NEW_START}")
    return said.splitlines()[1 if newest else 0 :][-lines:]
