"""The money part of the books: facts by their business identity, and what remains of every charge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

# Kind of fact -> the member that identifies it, beside the subject and (for payments) the provider.
_IDENTITIES = {
    "payment.succeeded": "charge_id",
    "payment.failed": "attempt_id",
    "payment.refunded": "refund_id",
    "payment.refund_failed": "refund_id",
    "payment.dispute_opened": "dispute_id",
    "auto_recharge.triggered": "trigger_id",
}

Key = tuple[str, str, str]
"""(subject, provider, id)"""


class Fact(NamedTuple):
    """A business fact as its smallest copy tells it; ordered by (time, source, event id)."""

    at: datetime
    source: str
    event_id: str
    user: str
    data: dict[str, Any]

    @property
    def cents(self) -> int:
        """Its amount."""
        return int(self.data["amount_cents"])


class Money:
    """Remembers every fact about money, each identity once."""

    def __init__(self) -> None:
        self._facts: dict[str, dict[Key, Fact]] = {kind: {} for kind in _IDENTITIES}
        # Dispute -> (time, place in the log, outcome, charge) of every closing.
        self._closings: dict[Key, list[tuple[datetime, int, str, str]]] = defaultdict(list)
        self._index: dict[str, dict[Key, list[Key]]] | None = None

    def take(self, kind: str, user: str, at: datetime, source: str, event_id: str, data: dict[str, Any]) -> str | None:
        """Take a fact in: None when it is new or no money, `copy` or `conflict` when it is known."""
        self._index = None
        if kind == "payment.dispute_closed":
            key = (user, data["provider"], data["dispute_id"])
            closings = self._closings[key]
            known = any(closing[0] == at and closing[2] == data["outcome"] for closing in closings)
            closings.append((at, len(closings), data["outcome"], data["charge_id"]))
            return "copy" if known else None
        member = _IDENTITIES.get(kind)
        if member is None:
            return None
        facts = self._facts[kind]
        key = (user, data.get("provider", ""), data[member])
        fact = Fact(at, source, event_id, user, data)
        standing = facts.get(key)
        if standing is None:
            facts[key] = fact
            return None
        if standing.data.get("amount_cents") != data.get("amount_cents"):
            return "conflict"
        if fact[:3] < standing[:3]:
            facts[key] = fact
        return "copy"

    def of(self, kind: str) -> Iterator[Fact]:
        """All facts of a kind, each once."""
        return iter(self._facts[kind].values())

    def charges(self) -> Iterator[Fact]:
        """All charges."""
        return self.of("payment.succeeded")

    def charge_known(self, fact: Fact) -> bool:
        """The charge that a refund or dispute names is known."""
        return (fact.user, fact.data["provider"], fact.data["charge_id"]) in self._facts["payment.succeeded"]

    def _of_charge(self, what: str, charge: Fact) -> list[Key]:
        """The identities of the refunds, openings or closings that name a charge."""
        if self._index is None:
            refunds: dict[Key, list[Key]] = defaultdict(list)
            openings: dict[Key, list[Key]] = defaultdict(list)
            closings: dict[Key, list[Key]] = defaultdict(list)
            for key, fact in self._facts["payment.refunded"].items():
                refunds[key[0], key[1], fact.data["charge_id"]].append(key)
            for key, fact in self._facts["payment.dispute_opened"].items():
                openings[key[0], key[1], fact.data["charge_id"]].append(key)
            for key, told in self._closings.items():
                closings[key[0], key[1], max(told)[3]].append(key)
            self._index = {"refunds": refunds, "openings": openings, "closings": closings}
        return self._index[what].get((charge.user, charge.data["provider"], charge.data["charge_id"]), [])

    def refund_counts(self, key: Key) -> bool:
        """A refund that failed counts nowhere."""
        return key not in self._facts["payment.refund_failed"]

    def refunds(self, charge: Fact) -> list[Fact]:
        """The refunds of a charge that did not fail."""
        facts = self._facts["payment.refunded"]
        return [facts[key] for key in self._of_charge("refunds", charge) if self.refund_counts(key)]

    def refunded(self, charge: Fact) -> int:
        """Σ its refunds as sent, in cents; may exceed the charge."""
        return sum(refund.cents for refund in self.refunds(charge))

    def all_given_back(self, charge: Fact) -> bool:
        """Nothing is left after the refunds, in cents or in what was really charged."""
        if self.refunded(charge) >= charge.cents:
            return True
        original = charge.data.get("original")
        if original is None or original["amount_minor"] <= 0:
            return False
        returned = [refund.data["original"] for refund in self.refunds(charge) if refund.data.get("original")]
        same = [back["amount_minor"] for back in returned if back["currency"] == original["currency"]]
        return bool(sum(same) >= original["amount_minor"])

    def lost_at(self, charge: Fact) -> datetime | None:
        """When the charge was first lost in a dispute whose last word is `lost`; None: it was not."""
        lost: list[datetime] = []
        for key in self._of_charge("closings", charge):
            told = self._closings[key]
            if max(told)[2] == "lost":
                lost += [at for at, _, outcome, _ in told if outcome == "lost"]
        return min(lost, default=None)

    def remainder(self, charge: Fact) -> int:
        """What counts of a charge, in cents."""
        if self.lost_at(charge) is not None or self.all_given_back(charge):
            return 0
        return charge.cents - self.refunded(charge)

    def settlement(self, charge: Fact) -> str:
        """The state of a charge: dispute_lost > refunded > disputed > partially_refunded > settled."""
        if self.lost_at(charge) is not None:
            return "dispute_lost"
        if self.all_given_back(charge):
            return "refunded"
        if any(key not in self._closings for key in self._of_charge("openings", charge)):
            return "disputed"
        return "partially_refunded" if self.refunded(charge) else "settled"

    def report(self) -> list[dict[str, Any]]:
        """One entry an attempt to pay, as in payment_analytics."""
        entries = []
        for kind, member in (("payment.succeeded", "charge_id"), ("payment.failed", "attempt_id")):
            for fact in self.of(kind):
                paid = kind == "payment.succeeded"
                data = fact.data
                original = data.get("original") or {}
                entries.append(
                    {
                        "telegram_id": fact.user,
                        "provider": data["provider"],
                        member: data[member],
                        "payment_method_type": data["method"],
                        "payment_status": "succeeded" if paid else "failed",
                        "settlement_status": self.settlement(fact) if paid else None,
                        "amount_cents": fact.cents,
                        "refunded_cents": self.refunded(fact) if paid else 0,
                        "remainder_cents": self.remainder(fact) if paid else 0,
                        "original_amount_minor": original.get("amount_minor"),
                        "original_currency": original.get("currency"),
                        "occurred_at": fact.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                    }
                )
        return entries
