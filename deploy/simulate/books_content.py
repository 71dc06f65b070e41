"""The content part of the books: what was said last of every item, and what users did with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

_FIELDS = ("content_type", "title", "price_cents", "price_credits")


class Catalogue:
    """Remembers what was said of content items, and who did what with them."""

    def __init__(self) -> None:
        # Item -> field -> (time, place in the log, value) of every word on it.
        self._said: dict[str, dict[str, list[tuple[datetime, int, Any]]]] = defaultdict(lambda: defaultdict(list))
        self._done: dict[str, Counter[str]] = defaultdict(Counter)
        self._unlocks: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._times: dict[str, list[datetime]] = defaultdict(list)

    def take(self, fact: str, user: str, at: datetime, data: dict[str, Any]) -> None:
        """An event of the family `content`; `fact` is what happened to the item."""
        name = data["content_id"]
        self._times[name].append(at)
        self._done[name][fact] += 1
        if fact in ("published", "changed"):
            for field in data.keys() & _FIELDS:
                words = self._said[name][field]
                words.append((at, len(words), data[field]))
        elif fact == "unlocked":
            self._unlocks[name].append((user, data["price_cents"]))

    def report(self) -> dict[str, dict[str, Any]]:
        """Every item by its id, with the columns of content_items."""
        return {name: self._item(name) for name in sorted(self._times)}

    def _item(self, name: str) -> dict[str, Any]:
        done, unlocks = self._done[name], self._unlocks[name]
        return {
            **{field: _latest(self._said[name][field]) for field in _FIELDS},
            "first_fact_at": min(self._times[name]).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "offers": done["offered"],
            "views": done["viewed"],
            "unlocks": len(unlocks),
            "unique_buyers": len({user for user, _ in unlocks}),
            "revenue_cents": sum(cents for _, cents in unlocks),
        }


def _latest(words: Iterable[tuple[datetime, int, Any]]) -> Any:
    """On equal times the later in the log wins."""
    return max(words, key=lambda word: word[:2], default=(None, None, None))[2]
