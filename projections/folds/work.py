"""What the projections of one batch share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from projections.folds.actions import Actions
from projections.folds.day_figures import DayFigures
from projections.folds.journal import Journal
from projections.ledger.ledger import Ledger


@dataclass(slots=True)
class Work:
    """The batch's events, what the ledger made of them, and `days`, to which every fold adds its differences."""

    journal: Journal
    ledger: Ledger
    actions: Actions
    days: DayFigures


def columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Turn rows into the parallel arrays that `unnest` takes; at least one row."""
    return [list(column) for column in zip(*rows, strict=True)]
