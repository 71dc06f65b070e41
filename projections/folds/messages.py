"""message_patterns and user_message_counts: when and how people write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

import asyncpg

from projections.folds.journal import Entry
from projections.folds.work import Work, columns
from projections.sql import query
from schemas.events import MessageReceived
from schemas.events.messages import MessageKind

KINDS: Final[tuple[str, ...]] = get_args(MessageKind)
"""In the order in which the columns of user_message_counts have them; those of the 24 hours follow."""
_COLUMN: Final = {kind: number for number, kind in enumerate(KINDS)}
_COLUMNS: Final = len(KINDS) + 24

Pattern = tuple[int, int, str]
"""Weekday (1 is Monday), hour and kind."""


def fold(received: Iterable[Entry]) -> tuple[dict[Pattern, int], dict[int, list[int]]]:
    """Return the messages by weekday, hour and kind, and those of each user by kind and hour. Pure."""
    patterns: dict[Pattern, int] = {}
    counts: dict[int, list[int]] = {}
    for _, telegram_id, event, _ in received:
        time, kind = event.time, event.data.kind
        hour = time.hour
        pattern = (time.isoweekday(), hour, kind)
        patterns[pattern] = patterns.get(pattern, 0) + 1
        row = counts.get(telegram_id)
        if row is None:
            row = counts[telegram_id] = [0] * _COLUMNS
        row[_COLUMN[kind]] += 1
        row[len(KINDS) + hour] += 1
    return patterns, counts


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Add the batch's messages."""
    patterns, counts = fold(work.journal.of(MessageReceived))
    if not counts:
        return
    await connection.execute(
        query("messages", "add_counts"), *columns([(user, *counts[user]) for user in sorted(counts)])
    )
    await connection.execute(
        query("messages", "add_patterns"), *columns([(*key, patterns[key]) for key in sorted(patterns)])
    )
