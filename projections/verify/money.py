"""One user's payments: every fact by its identity, and what is left of each charge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from projections.verify.rows import Row, Rows, data_of, order_of, original_of
from schemas.plain import PlainEvent

Identity = tuple[str, ...]
"""The provider and its id of a charge, attempt, refund or dispute; of a trigger its id alone."""

_IDENTITY: Final[dict[str, Callable[[dict[str, Any]], Identity]]] = {
    "payment.succeeded": lambda d: (d["provider"], d["charge_id"]),
    "payment.failed": lambda d: (d["provider"], d["attempt_id"]),
    "payment.refunded": lambda d: (d["provider"], d["refund_id"]),
    "payment.dispute_opened": lambda d: (d["provider"], d["dispute_id"]),
    "auto_recharge.triggered": lambda d: (d["trigger_id"],),
    "payment.refund_failed": lambda d: (d["provider"], d["refund_id"]),
    "payment.dispute_closed": lambda d: (d["provider"], d["dispute_id"]),
}
MONEY: Final = frozenset(_IDENTITY)
"""The kinds of events that say something here."""
SPENDING: Final = MONEY - {"payment.failed", "auto_recharge.triggered"}
"""Those of them that can move purchases, spend and tier."""
_ABOUT_CHARGES: Final = frozenset({"payment.refunded", "payment.dispute_opened", "payment.dispute_closed"})


def identity_of(kind: str, data: dict[str, Any]) -> Identity:
    """Return what the data of a money event is about."""
    return _IDENTITY[kind](data)


class Standing(NamedTuple):
    """Where a charge stands; amounts in cents."""

    left: int
    refunded: int
    lost: int
    lost_at: datetime | None
    status: str


class Money:
    """The user's facts; of several with one identity and amount the smallest (time, source, id) is kept."""

    def __init__(self) -> None:
        self.facts: defaultdict[str, dict[Identity, PlainEvent]] = defaultdict(dict)
        self.failed_refunds: set[Identity] = set()
        self.closings: dict[Identity, PlainEvent] = {}
        self.left: dict[Identity, int] = {}
        """What is left of each known charge, in cents."""
        self.purchases = 0
        """Charges of which something is left."""
        self.spent_cents = 0
        """What is left of all charges."""
        self._about: defaultdict[tuple[str, Identity], dict[Identity, PlainEvent]] = defaultdict(dict)
        """Refunds and disputes once more, by their kind and charge."""

    @property
    def charges(self) -> dict[Identity, PlainEvent]:
        """The event that supplies each charge's fields."""
        return self.facts["payment.succeeded"] if self.facts else {}

    def apply(self, kind: str, event: PlainEvent) -> str | None:
        """Take one event in; returns why it is a conflict, and then has changed nothing."""
        data = event["data"]
        identity, replaced = identity_of(kind, data), None
        if kind == "payment.refund_failed":
            self.failed_refunds.add(identity)
            replaced = self.facts["payment.refunded"].get(identity)
        elif kind == "payment.dispute_closed":
            replaced = self.closings.get(identity)
            if replaced is None or order_of(event) > order_of(replaced):
                self.closings[identity] = event
                self._file(kind, identity, event, replaced)
        else:
            facts = self.facts[kind]
            replaced = facts.get(identity)
            if replaced is not None and replaced["data"]["amount_cents"] != data["amount_cents"]:
                return f"{' '.join(identity)} is known with another amount"
            if replaced is None or order_of(event) < order_of(replaced):
                facts[identity] = event
                self._file(kind, identity, event, replaced)
        for fact in (event, replaced):
            charge_id = fact["data"].get("charge_id") if fact is not None else None
            if charge_id is not None:
                self._settle((data["provider"], charge_id))
        return None

    def _file(self, kind: str, identity: Identity, event: PlainEvent, replaced: PlainEvent | None) -> None:
        """Note which charge a refund or a dispute is about; the event that it replaces may have named another one."""
        if kind not in _ABOUT_CHARGES:
            return
        if replaced is not None:
            del self._about[kind, (identity[0], replaced["data"]["charge_id"])][identity]
        self._about[kind, (identity[0], event["data"]["charge_id"])][identity] = event

    def _of_charge(self, kind: str, charge: Identity) -> dict[Identity, PlainEvent]:
        return self._about.get((kind, charge), {})

    def _settle(self, charge: Identity) -> None:
        if charge in self.charges:
            before, now = self.left.get(charge, 0), self.standing(charge).left
            self.left[charge] = now
            self.purchases += (now > 0) - (before > 0)
            self.spent_cents += now - before

    def refunds_of(self, charge: Identity) -> list[PlainEvent]:
        """The refunds of a charge that happened and did not fail."""
        return [
            refund
            for identity, refund in self._of_charge("payment.refunded", charge).items()
            if identity not in self.failed_refunds
        ]

    def lost_disputes(self, charge: Identity) -> dict[Identity, PlainEvent]:
        """The closings, by their disputes, that took a charge away."""
        closings = self._of_charge("payment.dispute_closed", charge)
        return {identity: closing for identity, closing in closings.items() if closing["data"]["outcome"] == "lost"}

    def standing(self, charge: Identity) -> Standing:
        """Say where a known charge stands, from all that is known of it."""
        data = self.charges[charge]["data"]
        refunds = self.refunds_of(charge)
        refunded = sum(refund["data"]["amount_cents"] for refund in refunds)
        whole = False
        original, currency = original_of(data)
        if original:
            back = [original_of(refund["data"]) for refund in refunds]
            whole = sum(minor for minor, its in back if minor is not None and its == currency) >= original
        left = 0 if whole else max(0, data["amount_cents"] - refunded)
        lost = [closing["time"] for closing in self.lost_disputes(charge).values()]
        if lost:
            return Standing(0, refunded, max(0, data["amount_cents"] - refunded), min(lost), "dispute_lost")
        return Standing(left, refunded, 0, None, self._status(charge, refunds, left))

    def _status(self, charge: Identity, refunds: list[PlainEvent], left: int) -> str:
        if refunds and left == 0:
            return "refunded"
        if any(identity not in self.closings for identity in self._of_charge("payment.dispute_opened", charge)):
            return "disputed"
        return "partially_refunded" if refunds else "settled"

    def rows(self, telegram_id: int) -> Rows:
        """Return the rows of the tables of payments, by their keys."""
        if not (self.facts or self.failed_refunds or self.closings):
            return {}
        payments: dict[tuple[Any, ...], Row] = {}
        for (provider, charge_id), event in self.charges.items():
            standing = self.standing((provider, charge_id))
            payments[telegram_id, provider, "succeeded", charge_id] = {
                **_payment(event),
                "charge_id": charge_id,
                "attempt_id": None,
                "settlement_status": standing.status,
                "refunded_cents": standing.refunded,
                "remainder_cents": standing.left,
                "dispute_lost_cents": standing.lost,
                "dispute_lost_at": standing.lost_at,
                "failure_code": None,
            }
        for (provider, attempt_id), event in self.facts["payment.failed"].items():
            payments[telegram_id, provider, "failed", attempt_id] = {
                **_payment(event),
                "charge_id": None,
                "attempt_id": attempt_id,
                "settlement_status": None,
                "refunded_cents": 0,
                "remainder_cents": 0,
                "dispute_lost_cents": 0,
                "dispute_lost_at": None,
                "failure_code": event["data"]["failure_code"],
            }
        refunds = self.facts["payment.refunded"]
        openings = self.facts["payment.dispute_opened"]
        return {
            "payment_analytics": payments,
            "payment_refunds": {
                (telegram_id, *identity): _refund(refunds.get(identity), identity in self.failed_refunds)
                for identity in {**refunds, **dict.fromkeys(self.failed_refunds)}
            },
            "payment_disputes": {
                (telegram_id, *identity): _dispute(openings.get(identity), self.closings.get(identity))
                for identity in {**openings, **self.closings}
            },
            "auto_recharge_triggers": {
                (telegram_id, *identity): {
                    "amount_cents": event["data"]["amount_cents"],
                    "credits": event["data"].get("credits"),
                    "triggered_at": event["time"],
                    "source": event["source"],
                    "event_id": event["id"],
                }
                for identity, event in self.facts["auto_recharge.triggered"].items()
            },
        }

    def day_figures(self) -> Iterable[tuple[datetime, str, int]]:
        """Yield what the payments add to the figures of days: a time of the day, the column, the amount."""
        if not self.facts:
            return
        for charge, event in self.charges.items():
            yield event["time"], "revenue_cents", event["data"]["amount_cents"]
            yield event["time"], "successful_payments", 1
            for refund in self.refunds_of(charge):
                yield refund["time"], "refunded_cents", refund["data"]["amount_cents"]
            standing = self.standing(charge)
            if standing.lost_at is not None:
                yield standing.lost_at, "dispute_lost_cents", standing.lost
        for kind, column in (
            ("payment.failed", "failed_payments"),
            ("payment.dispute_opened", "new_disputes"),
            ("auto_recharge.triggered", "auto_recharge_triggers"),
        ):
            for event in self.facts[kind].values():
                yield event["time"], column, 1

    def hour_figures(self) -> Iterable[tuple[datetime, str]]:
        """Yield what counts in hours: a time of the hour, the column."""
        if not self.facts:
            return
        for kind, column in (
            ("payment.succeeded", "payments"),
            ("payment.failed", "payment_failures"),
            ("payment.refunded", "refunds"),
            ("payment.dispute_opened", "disputes"),
        ):
            for identity, event in self.facts[kind].items():
                if kind != "payment.refunded" or identity not in self.failed_refunds:
                    yield event["time"], column


def _payment(event: PlainEvent) -> Row:
    data = event["data"]
    minor, currency = original_of(data)
    return {
        "payment_method_type": data["method"],
        "amount_cents": data["amount_cents"],
        "original_amount_minor": minor,
        "original_currency": currency,
        "purpose": data.get("purpose"),
        "is_auto_recharge": bool(data.get("auto_recharge")),
        "occurred_at": event["time"],
        "source": event["source"],
        "event_id": event["id"],
    }


def _refund(refund: PlainEvent | None, failed: bool) -> Row:
    event: PlainEvent = refund or {}
    data = data_of(event)
    minor, currency = original_of(data)
    return {
        "charge_id": data.get("charge_id"),
        "amount_cents": data.get("amount_cents"),
        "original_amount_minor": minor,
        "original_currency": currency,
        "reason": data.get("reason"),
        "failed": failed,
        "occurred_at": event.get("time"),
        "source": event.get("source"),
        "event_id": event.get("id"),
    }


def _dispute(opened: PlainEvent | None, closed: PlainEvent | None) -> Row:
    opening, closing = opened or {}, closed or {}
    claim, verdict = data_of(opening), data_of(closing)
    return {
        "charge_id": claim.get("charge_id"),
        "amount_cents": claim.get("amount_cents"),
        "reason": claim.get("reason"),
        "opened_at": opening.get("time"),
        "source": opening.get("source"),
        "event_id": opening.get("id"),
        "closed_charge_id": verdict.get("charge_id"),
        "outcome": verdict.get("outcome"),
        "closed_at": closing.get("time"),
        "closed_source": closing.get("source"),
        "closed_event_id": closing.get("id"),
    }
