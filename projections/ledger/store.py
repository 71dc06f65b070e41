"""The ledger's rows: payment_analytics, payment_refunds, payment_disputes and auto_recharge_triggers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeVar

import asyncpg

from projections.folds.journal import Journal
from projections.folds.work import Work, columns
from projections.ledger.facts import Attempt, Dispute, Key, KnownFacts, Order, Payment, Refund, Trigger
from projections.sql import query
from schemas import events

K = TypeVar("K")
F = TypeVar("F")


async def load(connection: asyncpg.Connection, journal: Journal) -> KnownFacts:
    """Return what is stored of the identities in the batch, and all facts of the charges that they belong to."""
    known = KnownFacts()
    charges = {_key(entry, "charge_id") for entry in journal.of(*_OF_CHARGES)}
    refunds = {_key(entry, "refund_id") for entry in journal.of(*_OF_REFUNDS)}
    disputes = {_key(entry, "dispute_id") for entry in journal.of(*_OF_DISPUTES)}
    attempts = {_key(entry, "attempt_id") for entry in journal.of(events.PaymentFailed)}
    triggers = {(entry.telegram_id, entry.event.data.trigger_id) for entry in journal.of(events.AutoRechargeTriggered)}
    if refunds or disputes:
        named = await connection.fetch(query("payments", "charges_of_facts"), *_arrays(refunds), *_arrays(disputes))
        charges |= {(telegram_id, provider, charge_id) for telegram_id, provider, charge_id in named}
    if charges or attempts:
        await _load_payments(connection, known, charges, attempts)
    if charges or refunds:
        await _load_refunds(connection, known, charges, refunds)
    if charges or disputes:
        await _load_disputes(connection, known, charges, disputes)
    if triggers:
        for telegram_id, trigger_id, *order, amount_cents, credit in await connection.fetch(
            query("payments", "load_triggers"), *columns(sorted(triggers))
        ):
            known.triggers[(telegram_id, trigger_id)] = Trigger(_order(order), amount_cents, credit)
    return known


_OF_CHARGES = (
    events.PaymentSucceeded,
    events.PaymentRefunded,
    events.PaymentRefundFailed,
    events.PaymentDisputeOpened,
    events.PaymentDisputeClosed,
)
_OF_REFUNDS = (events.PaymentRefunded, events.PaymentRefundFailed)
_OF_DISPUTES = (events.PaymentDisputeOpened, events.PaymentDisputeClosed)


def _key(entry: Any, name: str) -> Key:
    data = entry.event.data
    return (entry.telegram_id, data.provider, getattr(data, name))


def _arrays(keys: Iterable[Key]) -> list[list[Any]]:
    return columns(sorted(keys)) or [[], [], []]


def _order(fields: list[Any]) -> Order:
    time, source, event_id = fields
    return (time, source, event_id)


def _minor(number: Decimal | None) -> int | None:
    return None if number is None else int(number)


async def _load_payments(
    connection: asyncpg.Connection, known: KnownFacts, charges: set[Key], attempts: set[Key]
) -> None:
    keys = [(*key, "succeeded") for key in sorted(charges)] + [(*key, "failed") for key in sorted(attempts)]
    for record in await connection.fetch(query("payments", "load_payments"), *columns(keys)):
        telegram_id, provider, payment_id, status, *order, method, cents = record[:9]
        minor, currency, purpose, is_auto_recharge, failure_code = record[9:]
        key = (telegram_id, provider, payment_id)
        fields = (_order(order), method, cents, _minor(minor), currency, purpose, is_auto_recharge)
        if status == "succeeded":
            known.charges[key] = Payment(*fields)
        else:
            known.attempts[key] = Attempt(*fields, failure_code)


async def _load_refunds(
    connection: asyncpg.Connection, known: KnownFacts, charges: set[Key], refunds: set[Key]
) -> None:
    for record in await connection.fetch(query("payments", "load_refunds"), *_arrays(charges), *_arrays(refunds)):
        telegram_id, provider, refund_id, *order, charge_id, cents = record[:8]
        minor, currency, reason, failed = record[8:]
        known.refunds[(telegram_id, provider, refund_id)] = Refund(
            order=_order(order) if cents is not None else None,
            charge_id=charge_id,
            amount_cents=cents,
            original_minor=_minor(minor),
            original_currency=currency,
            reason=reason,
            failed=failed,
        )


async def _load_disputes(
    connection: asyncpg.Connection, known: KnownFacts, charges: set[Key], disputes: set[Key]
) -> None:
    for record in await connection.fetch(query("payments", "load_disputes"), *_arrays(charges), *_arrays(disputes)):
        telegram_id, provider, dispute_id, *order, charge_id, cents, reason = record[:9]
        *closed_order, closed_charge_id, outcome = record[9:]
        known.disputes[(telegram_id, provider, dispute_id)] = Dispute(
            order=_order(order) if cents is not None else None,
            charge_id=charge_id,
            amount_cents=cents,
            reason=reason,
            closed_order=_order(closed_order) if outcome is not None else None,
            closed_charge_id=closed_charge_id,
            outcome=outcome,
        )


_UNKNOWN = (None, None, None)


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write the facts that the batch changed."""
    ledger = work.ledger
    payments = [
        _charge_row(key, account.charge, account.standing)
        for key, account in _sorted(ledger.changed_accounts)
        if account.charge is not None
    ]
    payments += [_attempt_row(key, attempt) for key, attempt in _sorted(ledger.changed_attempts)]
    refunds = [
        (
            *key, r.charge_id, r.amount_cents, _numeric(r.original_minor), r.original_currency, r.reason,
            r.failed, *(r.order or _UNKNOWN),
        )
        for key, r in _sorted(ledger.changed_refunds)
    ]  # fmt: skip
    disputes = [
        (
            *key, d.charge_id, d.amount_cents, d.reason, *(d.order or _UNKNOWN),
            d.closed_charge_id, d.outcome, *(d.closed_order or _UNKNOWN),
        )
        for key, d in _sorted(ledger.changed_disputes)
    ]  # fmt: skip
    triggers = [(*key, t.amount_cents, t.credits, *t.order) for key, t in _sorted(ledger.changed_triggers)]
    for name, rows in (
        ("write_payments", payments),
        ("write_refunds", refunds),
        ("write_disputes", disputes),
        ("write_triggers", triggers),
    ):
        if rows:
            await connection.execute(query("payments", name), *columns(rows))


def _sorted(facts: dict[K, F]) -> list[tuple[K, F]]:
    return sorted(facts.items(), key=itemgetter(0))


def _charge_row(key: Key, charge: Payment, standing: Any) -> tuple[Any, ...]:
    telegram_id, provider, charge_id = key
    return (
        telegram_id, provider, charge_id, None, "succeeded", standing.settlement_status, charge.method,
        charge.amount_cents, standing.refunded_cents, standing.remainder_cents, standing.dispute_lost_cents,
        standing.dispute_lost_at, _numeric(charge.original_minor), charge.original_currency, charge.purpose,
        None, charge.is_auto_recharge, *charge.order,
    )  # fmt: skip


def _attempt_row(key: Key, attempt: Attempt) -> tuple[Any, ...]:
    telegram_id, provider, attempt_id = key
    return (
        telegram_id, provider, None, attempt_id, "failed", None, attempt.method, attempt.amount_cents, 0, 0, 0,
        None, _numeric(attempt.original_minor), attempt.original_currency, attempt.purpose,
        attempt.failure_code, attempt.is_auto_recharge, *attempt.order,
    )  # fmt: skip


def _numeric(number: int | None) -> Decimal | None:
    return None if number is None else Decimal(number)
