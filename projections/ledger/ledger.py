"""The ledger of a batch: business identities resolved, in the order of the log, over what was known before.

Several facts with one identity and one amount are one fact; the smallest (time, source, id) supplies its fields. With
another amount the first in the log stands, and the later one is a conflict that changes nothing anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from projections.folds.day_figures import DayFigure, DayFigures, Figure
from projections.folds.hour_figures import HourFigure, HourFigures
from projections.folds.journal import Entry, Journal, order_of
from projections.ledger.account import Account
from projections.ledger.facts import Attempt, Dispute, Key, KnownFacts, Order, Payment, Refund, Trigger, TriggerKey
from schemas import events


class MoneyChange(NamedTuple):
    """What one event changed in its user's purchases and spend (cents)."""

    position: int
    telegram_id: int
    purchases: int
    cents: int
    appended_at: datetime


class Purchase(NamedTuple):
    """A charge as its user's own action."""

    telegram_id: int
    time: datetime
    amount_cents: int
    position: int


class Ledger:
    """Folds the money events of a batch; its dictionaries then hold what changed and must be written.

    `days` and `hours` take the differences of their figures; `conflicts` counts the facts that were refused; `outcomes`
    says by position which facts changed nothing: conflict or without_effect.
    """

    def __init__(self, known: KnownFacts, days: DayFigures, hours: HourFigures) -> None:
        self.days = days
        self.hours = hours
        self.conflicts = 0
        self.outcomes: dict[int, str] = {}
        self.changes: list[MoneyChange] = []
        self.changed_accounts: dict[Key, Account] = {}
        self.changed_attempts: dict[Key, Attempt] = {}
        self.changed_refunds: dict[Key, Refund] = {}
        self.changed_disputes: dict[Key, Dispute] = {}
        self.changed_triggers: dict[TriggerKey, Trigger] = {}
        self._known = known
        self._purchased_before = {key: (charge.order[0], charge.amount_cents) for key, charge in known.charges.items()}
        self._purchase_positions: dict[Key, int] = {}
        self._accounts: dict[Key, Account] = {}
        self._open_accounts()

    def _open_accounts(self) -> None:
        for key, charge in self._known.charges.items():
            self._account(key).charge = charge
        for (telegram_id, provider, refund_id), refund in self._known.refunds.items():
            if refund.charge_id is not None:
                self._account((telegram_id, provider, refund.charge_id)).refunds[refund_id] = refund
        for (telegram_id, provider, dispute_id), dispute in self._known.disputes.items():
            if dispute.charge_id is not None:
                self._account((telegram_id, provider, dispute.charge_id)).openings[dispute_id] = dispute
            if dispute.closed_charge_id is not None:
                self._account((telegram_id, provider, dispute.closed_charge_id)).closings[dispute_id] = dispute
        for account in self._accounts.values():
            account.settle()

    def fold(self, journal: Journal) -> None:
        """Apply the batch's money events in the order of the log."""
        for entry in journal.of(*_HANDLERS):
            _HANDLERS[type(entry.event)](self, entry)

    def purchases_gained(self) -> list[Purchase]:
        """Return charges that are new or have moved in time, at their new times, in the order of the log."""
        gained = []
        for key, position in self._purchase_positions.items():
            charge = self._accounts[key].charge
            if charge is None or self._purchased_before.get(key) == (charge.order[0], charge.amount_cents):
                continue
            gained.append(Purchase(key[0], charge.order[0], charge.amount_cents, position))
        return sorted(gained, key=lambda purchase: purchase.position)

    def purchases_lost(self) -> list[Purchase]:
        """Return charges known before that have moved in time, at their old times."""
        lost = []
        for key, position in self._purchase_positions.items():
            charge = self._accounts[key].charge
            before = self._purchased_before.get(key)
            if charge is not None and before is not None and before != (charge.order[0], charge.amount_cents):
                lost.append(Purchase(key[0], before[0], before[1], position))
        return lost

    def _account(self, key: Key) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account()
        return account

    def _refuse(self, entry: Entry) -> None:
        self.conflicts += 1
        self.outcomes[entry.position] = "conflict"
        # Whoever counts the batch's events counts this one too.
        self.hours.count(entry.event.time, HourFigure.EVENTS, -1)

    def _pass_over(self, entry: Entry) -> None:
        """The fact is known already, or a later word counts."""
        self.outcomes[entry.position] = "without_effect"

    def _settle(self, key: Key, entry: Entry) -> None:
        """Carry what an event did to a charge over to the user and the days."""
        account = self._account(key)
        left_before = account.standing.remainder_cents if account.standing is not None else 0
        figures_before = account.figures
        account.settle()
        self.changed_accounts[key] = account
        self.days.move(figures_before, account.figures)
        left = account.standing.remainder_cents if account.standing is not None else 0
        if left != left_before:
            self._change(entry, (left > 0) - (left_before > 0), left - left_before)

    def _change(self, entry: Entry, purchases: int, cents: int) -> None:
        # One event may touch two charges (a refund's winner names another one): their sum is one change, or the
        # user would seem to pass through a tier in between.
        if self.changes and self.changes[-1].position == entry.position:
            last = self.changes.pop()
            purchases, cents = purchases + last.purchases, cents + last.cents
        self.changes.append(MoneyChange(entry.position, entry.telegram_id, purchases, cents, entry.arrival.appended_at))

    def _charge(self, entry: Entry) -> None:
        event = entry.event
        key = (entry.telegram_id, event.data.provider, event.data.charge_id)
        account = self._account(key)
        order = order_of(event)
        before = account.charge
        if before is not None:
            if before.amount_cents != event.data.amount_cents:
                return self._refuse(entry)
            if order >= before.order:
                return self._pass_over(entry)
        if before is None or before.order[0] != order[0]:
            self._purchase_positions[key] = entry.position
            self.hours.move(HourFigure.PAYMENTS, before.order[0] if before else None, order[0])
        account.charge = Payment(order, **_payment_fields(event.data))
        return self._settle(key, entry)

    def _attempt(self, entry: Entry) -> None:
        event = entry.event
        key = (entry.telegram_id, event.data.provider, event.data.attempt_id)
        order = order_of(event)
        before = self._known.attempts.get(key)
        if before is not None:
            if before.amount_cents != event.data.amount_cents:
                return self._refuse(entry)
            if order >= before.order:
                return self._pass_over(entry)
        attempt = Attempt(order, **_payment_fields(event.data), failure_code=event.data.failure_code)
        self._known.attempts[key] = self.changed_attempts[key] = attempt
        return self._moved(Figure.FAILED_PAYMENTS, HourFigure.PAYMENT_FAILURES, before.order if before else None, order)

    def _refund(self, entry: Entry) -> None:
        event = entry.event
        data = event.data
        key = (entry.telegram_id, data.provider, data.refund_id)
        order = order_of(event)
        before = self._known.refunds.get(key, Refund())
        if before.order is not None:
            if before.amount_cents != data.amount_cents:
                return self._refuse(entry)
            if order >= before.order:
                return self._pass_over(entry)
        minor, currency = _original(data)
        refund = Refund(order, data.charge_id, data.amount_cents, minor, currency, data.reason, before.failed)
        if not before.failed:
            self.hours.move(HourFigure.REFUNDS, before.order[0] if before.order else None, order[0])
        self._known.refunds[key] = self.changed_refunds[key] = refund
        if before.charge_id is not None and before.charge_id != data.charge_id:
            left = (key[0], key[1], before.charge_id)
            self._account(left).refunds.pop(key[2], None)
            self._settle(left, entry)
        charge = (key[0], key[1], data.charge_id)
        self._account(charge).refunds[key[2]] = refund
        return self._settle(charge, entry)

    def _refund_failed(self, entry: Entry) -> None:
        data = entry.event.data
        key = (entry.telegram_id, data.provider, data.refund_id)
        before = self._known.refunds.get(key, Refund())
        if before.failed:
            return self._pass_over(entry)
        if before.order is not None:
            self.hours.move(HourFigure.REFUNDS, before.order[0], None)
        refund = replace(before, failed=True)
        self._known.refunds[key] = self.changed_refunds[key] = refund
        if refund.charge_id is not None:
            charge = (key[0], key[1], refund.charge_id)
            self._account(charge).refunds[key[2]] = refund
            self._settle(charge, entry)
        return None

    def _dispute_opened(self, entry: Entry) -> None:
        event = entry.event
        data = event.data
        key = (entry.telegram_id, data.provider, data.dispute_id)
        order = order_of(event)
        before = self._known.disputes.get(key, Dispute())
        if before.order is not None:
            if before.amount_cents != data.amount_cents:
                return self._refuse(entry)
            if order >= before.order:
                return self._pass_over(entry)
        self._moved(Figure.NEW_DISPUTES, HourFigure.DISPUTES, before.order, order)
        after = replace(
            before, order=order, charge_id=data.charge_id, amount_cents=data.amount_cents, reason=data.reason
        )
        return self._replace_dispute(key, before, after, entry)

    def _dispute_closed(self, entry: Entry) -> None:
        event = entry.event
        data = event.data
        key = (entry.telegram_id, data.provider, data.dispute_id)
        order = order_of(event)
        before = self._known.disputes.get(key, Dispute())
        if before.closed_order is not None and order <= before.closed_order:
            return self._pass_over(entry)
        after = replace(before, closed_order=order, closed_charge_id=data.charge_id, outcome=data.outcome)
        return self._replace_dispute(key, before, after, entry)

    def _replace_dispute(self, key: Key, before: Dispute, after: Dispute, entry: Entry) -> None:
        """Put a dispute's new state into every charge that its opening or closing named or names."""
        self._known.disputes[key] = self.changed_disputes[key] = after
        touched = {
            named: None
            for named in (before.charge_id, before.closed_charge_id, after.charge_id, after.closed_charge_id)
            if named is not None
        }
        for charge_id in touched:
            charge = (key[0], key[1], charge_id)
            account = self._account(charge)
            account.openings.pop(key[2], None)
            account.closings.pop(key[2], None)
            if after.charge_id == charge_id:
                account.openings[key[2]] = after
            if after.closed_charge_id == charge_id:
                account.closings[key[2]] = after
            self._settle(charge, entry)

    def _trigger(self, entry: Entry) -> None:
        event = entry.event
        key = (entry.telegram_id, event.data.trigger_id)
        order = order_of(event)
        before = self._known.triggers.get(key)
        if before is not None:
            if before.amount_cents != event.data.amount_cents:
                return self._refuse(entry)
            if order >= before.order:
                return self._pass_over(entry)
        trigger = Trigger(order, event.data.amount_cents, event.data.credits)
        self._known.triggers[key] = self.changed_triggers[key] = trigger
        return self._moved(Figure.AUTO_RECHARGE_TRIGGERS, None, before.order if before else None, order)

    def _moved(self, figure: Figure, hour_figure: HourFigure | None, before: Order | None, after: Order) -> None:
        self.days.move(
            [DayFigure(before[0].date(), figure, 1)] if before is not None else [],
            [DayFigure(after[0].date(), figure, 1)],
        )
        if hour_figure is not None:
            self.hours.move(hour_figure, before[0] if before is not None else None, after[0])


def _original(data: Any) -> tuple[int | None, str | None]:
    if data.original is None:
        return None, None
    return data.original.amount_minor, data.original.currency


def _payment_fields(data: Any) -> Mapping[str, Any]:
    minor, currency = _original(data)
    return {
        "method": data.method,
        "amount_cents": data.amount_cents,
        "original_minor": minor,
        "original_currency": currency,
        "purpose": data.purpose,
        "is_auto_recharge": bool(data.auto_recharge),
    }


_HANDLERS: Final[dict[Any, Callable[[Ledger, Entry], None]]] = {
    events.PaymentSucceeded: Ledger._charge,
    events.PaymentFailed: Ledger._attempt,
    events.PaymentRefunded: Ledger._refund,
    events.PaymentRefundFailed: Ledger._refund_failed,
    events.PaymentDisputeOpened: Ledger._dispute_opened,
    events.PaymentDisputeClosed: Ledger._dispute_closed,
    events.AutoRechargeTriggered: Ledger._trigger,
}
"""Every event that may carry a business identity."""
