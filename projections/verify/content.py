"""One content item: what was said of it, and what its users did with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from projections.verify.rows import Row, kind_of
from schemas.plain import PlainEvent

DEEDS: Final = {"content.offered": "offers", "content.viewed": "views", "content.unlocked": "unlocks"}
"""What happens between a user and an item, and the column that counts it."""
_SAID: Final = ("content_type", "title", "price_cents", "price_credits")


class Deed(NamedTuple):
    """Something between a user and an item; `cents` is an unlock's value."""

    kind: str
    content_id: str
    time: datetime
    cents: int


class Item:
    """What is known of one item; its facts may be split over several of these, which are merged."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[datetime, Any]] = {}
        self._counts: Counter[str] = Counter()
        self._first: datetime | None = None

    def describe(self, event: PlainEvent) -> None:
        """Take in that the item was published or changed; the events of one item come in the order of the log."""
        time = event["time"]
        self._begin(time)
        for member, value in event["data"].items():
            if member in _SAID:
                self._say(member, time, value)

    def _say(self, column: str, time: datetime, value: Any) -> None:
        if column not in self._said or time >= self._said[column][0]:
            self._said[column] = (time, value)

    def _begin(self, time: datetime | None) -> None:
        if time is not None and (self._first is None or time < self._first):
            self._first = time

    def add(self, deeds: Iterable[Deed]) -> None:
        """Take in all that one user did."""
        buys = False
        for deed in deeds:
            self._begin(deed.time)
            self._counts[DEEDS[deed.kind]] += 1
            self._counts["revenue_cents"] += deed.cents
            buys |= deed.kind == "content.unlocked"
        self._counts["unique_buyers"] += buys

    def merge(self, other: Item) -> None:
        """Add what other users did, and what was said on another partition."""
        self._counts.update(other._counts)
        self._begin(other._first)
        for column, (time, value) in other._said.items():
            self._say(column, time, value)

    def row(self) -> Row:
        """Return the item's row."""
        nothing = (None, None)
        return {
            **{column: self._said.get(column, nothing)[1] for column in _SAID},
            "first_fact_at": self._first,
            **{column: self._counts[column] for column in (*DEEDS.values(), "unique_buyers", "revenue_cents")},
            "described_at": self._said.get("price_cents", nothing)[0],
            "title_at": self._said.get("title", nothing)[0],
            "price_credits_at": self._said.get("price_credits", nothing)[0],
        }


def deed_of(event: PlainEvent) -> Deed:
    """Return what an event of one of DEEDS tells."""
    kind, data = kind_of(event), event["data"]
    return Deed(kind, data["content_id"], event["time"], data["price_cents"] if kind == "content.unlocked" else 0)
