"""message_patterns and user_message_counts: when and how people write.

A user's 33 counts go to the database as 33 bytes, since as many parameters would be the dearest of the whole batch: a
batch with more of a kind from one user is written in several goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, get_args

import asyncpg

from projections.briefs import Received
from projections.folds.journal import Entry
from projections.folds.work import Work, columns
from projections.sql import query
from schemas.events.messages import MessageKind

KINDS: Final[tuple[str, ...]] = get_args(MessageKind)
"""In the order in which the columns of user_message_counts have them; those of the 24 hours follow."""
_COLUMN: Final = {kind: number for number, kind in enumerate(KINDS)}
_COLUMNS: Final = len(KINDS) + 24
_MOST: Final = 255

Pattern = tuple[int, int, str]
"""Weekday (1 is Monday), hour and kind."""


def fold(received: Iterable[Entry]) -> tuple[dict[Pattern, int], dict[int, list[int]]]:
    """Return the messages by weekday, hour and kind, and those of each user by kind and hour. Pure."""
    patterns: dict[Pattern, int] = {}
    counts: dict[int, list[int]] = {}
    for _, telegram_id, event, _ in received:
        time, kind = event.time, event.kind
        hour = time.hour
        pattern = (time.isoweekday(), hour, kind)
        patterns[pattern] = patterns.get(pattern, 0) + 1
        row = counts.get(telegram_id)
        if row is None:
            row = counts[telegram_id] = [0] * _COLUMNS
        row[_COLUMN[kind]] += 1
        row[len(KINDS) + hour] += 1
    return patterns, counts


def in_bytes(counts: Mapping[int, Sequence[int]]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield tables of (telegram_id, a byte a count), in the order of the users, whose sum is `counts`. Pure."""
    left = counts
    while left:
        yield [(user, bytes(min(count, _MOST) for count in left[user])) for user in sorted(left)]
        left = {user: [max(count - _MOST, 0) for count in row] for user, row in left.items() if max(row) > _MOST}


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Add the batch's messages."""
    patterns, counts = fold(work.journal.of(Received))
    if not counts:
        return
    for table in in_bytes(counts):
        await connection.execute(query("messages", "add_counts"), *columns(table))
    await connection.execute(
        query("messages", "add_patterns"), *columns([(*key, patterns[key]) for key in sorted(patterns)])
    )
