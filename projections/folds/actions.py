"""What users did themselves: the actions that make them active, form their sessions and fill their days.

Packed, an action takes 12 bytes, big-endian: 8 bytes microseconds since 1970 times 8 plus the kind, 4 bytes amount.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from projections.briefs import Received, Spent
from projections.folds.journal import Journal
from projections.ledger.ledger import Ledger
from schemas import events


class Kind(IntEnum):
    """The kinds of own actions; the values are stored."""

    MESSAGE = 1
    CREDITS = 2
    PURCHASE = 3
    VIEW = 4
    UNLOCK = 5


class Action(NamedTuple):
    """One own action; `amount` is credits for CREDITS, cents for PURCHASE, else 0."""

    telegram_id: int
    time: datetime
    kind: int
    amount: int


class Actions:
    """The own actions of a batch: gained in the order of the log, and lost (charges that moved in time)."""

    def __init__(self, journal: Journal, ledger: Ledger) -> None:
        self.gained = _gained(journal, ledger)
        self.lost = [
            Action(purchase.telegram_id, purchase.time, Kind.PURCHASE, purchase.amount_cents)
            for purchase in ledger.purchases_lost()
        ]


_KIND_OF: Final[dict[type, int]] = {
    Received: int(Kind.MESSAGE),
    Spent: int(Kind.CREDITS),
    events.ContentViewed: int(Kind.VIEW),
    events.ContentUnlocked: int(Kind.UNLOCK),
}


def _gained(journal: Journal, ledger: Ledger) -> list[Action]:
    placed: list[tuple[int, Action]] = [
        (purchase.position, Action(purchase.telegram_id, purchase.time, int(Kind.PURCHASE), purchase.amount_cents))
        for purchase in ledger.purchases_gained()
    ]
    for event_class, kind in _KIND_OF.items():
        spends = kind == Kind.CREDITS
        for position, telegram_id, event, _ in journal.of(event_class):
            amount = event.credits if spends else 0
            placed.append((position, Action(telegram_id, event.time, kind, amount)))
    placed.sort(key=_place)
    return [action for _, action in placed]


def _place(placed: tuple[int, Action]) -> int:
    return placed[0]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PACKED: Final = Struct(">QI")
"""How an action is packed: its moment and kind, its amount."""
PACKED_BYTES: Final = PACKED.size


def microseconds(time: datetime) -> int:
    """Return the microseconds since 1970."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def pack(time: datetime, kind: int, amount: int) -> bytes:
    """Return the packed form of one action."""
    return PACKED.pack(microseconds(time) << 3 | kind, amount)


def unpack(telegram_id: int, packed: bytes) -> Iterable[Action]:
    """Yield the actions of a packed row."""
    for moment, amount in PACKED.iter_unpack(packed):
        yield Action(telegram_id, _EPOCH + timedelta(microseconds=moment >> 3), moment & 7, amount)


def without(packed: bytes, action: Action) -> bytes:
    """Return `packed` without its first action that equals `action`. Raises ValueError if there is none."""
    wanted = pack(action.time, action.kind, action.amount)
    for start in range(0, len(packed), PACKED_BYTES):
        if packed[start : start + PACKED_BYTES] == wanted:
            return packed[:start] + packed[start + PACKED_BYTES :]
    raise ValueError("an action to take back is not among the day's actions")


DayKey = tuple[int, date]
"""telegram_id and UTC day."""
