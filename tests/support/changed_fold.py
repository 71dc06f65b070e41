"""The product with another fold: every message counts twice. For the command and the live worker alike.

Importing it changes the fold of this process, and of the processes that import `apply`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from projections import registry
from projections.batch import Applied, Arrival
from projections.folds import user_days, users
from projections.folds.actions import Action, DayKey
from projections.folds.journal import Entry
from projections.folds.work import Work
from projections.service import serve

_apply, _count, _fold = registry.apply, users.count, user_days.fold


def _count_twice(work: Work) -> dict[int, users.Totals]:
    totals = _count(work)
    for user in totals.values():
        user.messages *= 2
    return totals


def _fold_twice(gained: Iterable[Action], sent: Iterable[Entry]) -> dict[DayKey, user_days.Row]:
    rows = _fold(gained, sent)
    for counters, _ in rows.values():
        counters[user_days.MESSAGES_RECEIVED] *= 2
    return rows


async def apply(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Applied:
    """The registry's apply with the other fold."""
    return await _apply(connection, arrivals)


if __name__ != "__main__":
    users.count = _count_twice
    user_days.fold = _fold_twice
    registry.apply = apply


def main() -> None:
    """The command line with the other fold."""
    from deploy.cli import main as command

    command()


if __name__ == "__main__":
    # The processes of a rebuild import this module by its name.
    from tests.support import changed_fold

    serve(changed_fold.apply)
