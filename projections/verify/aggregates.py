"""What streams has folded of a user, beside what the log folded a second time says.

The aggregates are public: one JSON object a user on their topic, described where streams writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from projections.verify.differences import Difference
from projections.verify.history import History
from projections.verify.user import User
from schemas.records import LogRecord
from schemas.tiers import CURRENT_RULES

NAME: Final = "user-aggregates"
"""Stands for the topic among the names of tables."""
_VERSION: Final = 1


class Aggregates:
    """The newest aggregate of each key: of its records the one that has applied most."""

    def __init__(self) -> None:
        self.newest: dict[bytes, dict[str, Any]] = {}

    def add(self, record: LogRecord) -> None:
        """Take a record in; another version's is passed over."""
        if record.key is None or record.value is None:
            return
        value = orjson.loads(record.value)
        known = self.newest.get(record.key)
        if value.get("v") == _VERSION and (known is None or value["applied"] >= known["applied"]):
            self.newest[record.key] = value

    def comparable(self, key: bytes, history: History) -> bool:
        """Whether streams stands where the history of this key ends, and has folded the same events."""
        aggregate = self.newest.get(key)
        return aggregate is not None and aggregate["applied"] == history.last_valid and not history.lacks_refused

    def compare(self, key: bytes, history: History) -> Iterator[Difference]:
        """Yield what differs; only where they are comparable."""
        aggregate, user = self.newest[key], history.user
        if user is None:
            return
        wanted: dict[str, Any] = {"purchases": user.money.purchases, "spent_cents": user.money.spent_cents}
        if aggregate["rules"] == CURRENT_RULES.version:
            wanted["tier"] = user.tier
        wanted |= _refunds(user)
        if not history.beyond_memory:
            wanted |= {
                "messages": len(user.messages),
                "credits": user.credits,
                "credits_spent": user.credits_spent,
                "unlocks": user.unlocks,
            }
        for figure, folded in wanted.items():
            if aggregate[figure] != folded:
                yield Difference(NAME, {"telegram_id": user.telegram_id}, figure, aggregate[figure], folded)


def _refunds(user: User) -> dict[str, int]:
    if not user.money.facts:
        return {"refunds": 0, "refunded_cents": 0}
    refunds = user.money.facts["payment.refunded"].items()
    counted = [refund for identity, refund in refunds if identity not in user.money.failed_refunds]
    return {"refunds": len(counted), "refunded_cents": sum(refund["data"]["amount_cents"] for refund in counted)}
