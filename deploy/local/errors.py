"""Errors of the local stack."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import BotpulseError, ConfigurationError


class LocalStackError(BotpulseError):
    """A part of the local stack could not be started, reached or stopped; the message says which and why."""


class StartFailed(LocalStackError):
    """A service ended or kept silent while it was started; nothing of it runs any more.

    `log` is the file with the service's own words, `log_tail` its last lines.
    """

    def __init__(self, service: str, why: str, log: Path) -> None:
        self.log = log
        self.log_tail = tail(log)
        last = next((line for line in reversed(self.log_tail) if line.strip()), "")
        said = f"; its last line was: {last.strip()[:300]}" if last else ""
        super().__init__(f"{service} did not start: {why}{said} (log: {log})")


class MissingPart(ConfigurationError):
    """A wheel, a jar or a place on the disk that the local stack needs is not there."""


def tail(path: Path, lines: int = 20, limit: int = 64 * 1024) -> list[str]:
    """The last lines of a log, [] where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]
