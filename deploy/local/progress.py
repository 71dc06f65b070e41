"""How the local stack tells what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with a step's name and, where it is known, how much of it is done (any unit; total 0 = unknown)."""

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None: ...


def silent(step: str, done: int = 0, total: int = 0, /) -> None:
    """A progress that nobody watches."""
