"""What can go wrong in a benchmark."""

from __future__ import annotations

from pathlib import Path

from deploy.local.errors import tail as log_tail
from deploy.local.errors import telling_line
from schemas.errors import BotpulseError


class BenchmarkError(BotpulseError):
    """A measurement could not be made; the message says which process and why."""


class WorkerDiedError(BenchmarkError):
    """A process under measurement ended by itself; `log_tail` are its last lines."""

    def __init__(self, name: str, status: int, log: Path) -> None:
        self.log_tail = log_tail(log)
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        said = telling_line(self.log_tail)
        super().__init__(f"{name} {how}{f'; it said: {said}' if said else ''}")
