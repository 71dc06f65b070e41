"""Why a money event that counts has moved the spend by nothing, or by less than the amount that it tells."""

from __future__ import annotations

from typing import Final

from projections.verify.history import Entry, Verdict
from projections.verify.money import SPENDING, Identity, Money, identity_of
from projections.verify.rows import kind_of
from schemas.plain import PlainEvent

_REFUND: Final = "payment.refunded"
_REFUND_FAILED: Final = "payment.refund_failed"
_OPENED: Final = "payment.dispute_opened"
_CLOSED: Final = "payment.dispute_closed"


class Reasons:
    """Remembers which record told a fact first, so that a later one can be said to come after it.

    Places are partition/offset, as `explain` shows them. Pure: it looks at the user's money, and changes nothing in it.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[str, Identity], str] = {}

    def of(self, entry: Entry, money: Money, cents: int) -> str:
        """Say it of the record that was taken in last, in a few words; empty where its amount is what it moved.

        `money` is the user's after it, `cents` by how much it has moved their spend. Records that are no event,
        repeated, in conflict or refused have the reason in their verdict, and none here.
        """
        event = entry.event
        if entry.verdict is not Verdict.COUNTED or event is None or kind_of(event) not in SPENDING:
            return ""
        kind = kind_of(event)
        fact = kind, identity_of(kind, event["data"])
        known, place = self._places.get(fact), f"{entry.record.partition}/{entry.record.offset}"
        if known is None:
            self._places[fact] = place
            return self._first(kind, fact[1], event, money, cents)
        if kind == _REFUND_FAILED or not _is_kept(kind, fact[1], event, money):
            return f"known already, from {known}"
        self._places[fact] = place
        return f"known already, from {known}; this one is {'later' if kind == _CLOSED else 'earlier'} and stands for it"

    def _first(self, kind: str, identity: Identity, event: PlainEvent, money: Money, cents: int) -> str:
        """The reason of an event that tells something new."""
        data = event["data"]
        if kind == "payment.succeeded":
            return "" if cents == data["amount_cents"] else self._taken_before(identity, money)
        if kind == _OPENED and (closing := money.closings.get(identity)) is not None:
            return f"its dispute was {closing['data']['outcome']} before, by {self._places[_CLOSED, identity]}"
        if kind == _CLOSED and data["outcome"] != "lost":
            return f"{data['outcome']}: nothing is lost"
        if kind == _REFUND_FAILED:
            refund = money.facts.get(_REFUND, {}).get(identity)
            if refund is None:
                return "before its refund"
            data = refund["data"]
        charge = data["provider"], data["charge_id"]
        if charge not in money.charges:
            return "before its charge"
        if kind == _OPENED:
            return "open: nothing is lost yet"
        if kind == _CLOSED:
            return "" if cents else self._lost(charge, money, but=identity) or "nothing was left of its charge"
        if kind == _REFUND and identity in money.failed_refunds:
            return f"this refund failed before, by {self._places[_REFUND_FAILED, identity]}"
        if lost := self._lost(charge, money):
            return lost
        if kind == _REFUND_FAILED:
            return "" if cents >= data["amount_cents"] else "the refunds are still more than the rest of its charge"
        if -cents > data["amount_cents"]:
            return "all of the charge is paid back in its own currency"
        if -cents == data["amount_cents"]:
            return ""
        return "no more was left of its charge" if cents else "nothing was left of its charge"

    def _taken_before(self, charge: Identity, money: Money) -> str:
        """What came before a charge and has taken from it."""
        refunds = [identity_of(_REFUND, refund["data"]) for refund in money.refunds_of(charge)]
        places = ", ".join(self._places[_REFUND, identity] for identity in refunds)
        return "; ".join(filter(None, (self._lost(charge, money), places and f"refunded before, by {places}")))

    def _lost(self, charge: Identity, money: Money, *, but: Identity | None = None) -> str:
        """That a charge was lost to a dispute, `but` aside; empty where it wasn't."""
        places = [self._places[_CLOSED, identity] for identity in money.lost_disputes(charge) if identity != but]
        return f"its dispute was lost before, by {', '.join(places)}" if places else ""


def _is_kept(kind: str, identity: Identity, event: PlainEvent, money: Money) -> bool:
    facts = money.closings if kind == _CLOSED else money.facts.get(kind, {})
    return facts.get(identity) is event
