"""The part of the books about purchases: what happened in the half hour before each."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from deploy.simulate.books_money import Money

_KINDS = frozenset({"message.received", "credits.spent", "content.viewed", "content.unlocked", "content.offered"})
_HALF_HOUR = timedelta(minutes=30)


class Leads:
    """Remembers what users did and were offered, payments apart: those have copies."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[datetime, str]]] = defaultdict(list)

    def take(self, kind: str, user: str, at: datetime) -> None:
        """Any event of a user."""
        if kind in _KINDS:
            self._seen[user].append((at, kind))

    def report(self, money: Money) -> dict[str, dict[str, int]]:
        """By event type, the purchases that it came before and what they brought."""
        sums: dict[str, dict[str, int]] = defaultdict(lambda: {"purchases": 0, "revenue_cents": 0})
        paid: dict[str, list[datetime]] = defaultdict(list)
        for charge in money.charges():
            paid[charge.user].append(charge.at)
        for charge in money.charges():
            before = {kind for at, kind in self._seen[charge.user] if _is_before(at, charge.at)}
            if any(_is_before(at, charge.at) for at in paid[charge.user]):
                before.add("payment.succeeded")
            for kind in before:
                sums[kind]["purchases"] += 1
                sums[kind]["revenue_cents"] += charge.cents
        return {kind: sums[kind] for kind in sorted(sums)}


def _is_before(at: datetime, purchase: datetime) -> bool:
    return purchase - _HALF_HOUR <= at < purchase
