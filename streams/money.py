"""What the payment events do to a user's ledger and money. Pure.

Money is never added up from events: an event changes the ledger entry of its identity, the entry's charge gets a new
remainder, and the aggregate moves by the difference. So neither the order of arrival nor repeats matter.
"""

from __future__ import annotations

from typing import Any

from schemas.charges import remainder
from schemas.errors import InvalidEvent
from schemas.plain import PlainEvent
from schemas.reasons import Reason

from .aggregate import PURCHASES, SPEND_CENTS
from .ledger import AmountState, ChargeState, DisputeState, Order, Original, RefundState
from .touched import TouchedUser


def payment_succeeded(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    """A charge: it counts once, with the fields of its smallest (time, source, id)."""
    data = event["data"]
    key, entry = fold.entry("charge", data["provider"], data["charge_id"])
    before = entry.newest
    assert isinstance(before, ChargeState)
    order = (time_us, event["source"], event["id"])
    first = _supplies_fields(before.amount_cents, before.order, data["amount_cents"], order)
    user = fold.user
    user.acted(time_us)  # any copy of the payment: the greatest of all is the same in every order of arrival
    if not first:
        return
    after = before._replace(amount_cents=data["amount_cents"], order=order, original=_original(data.get("original")))
    if before.order is not None:
        user.count(before.order[0], PURCHASES, -1)
        user.count(before.order[0], SPEND_CENTS, -data["amount_cents"])
    user.count(time_us, PURCHASES, 1)
    user.count(time_us, SPEND_CENTS, data["amount_cents"])
    _move_charge(fold, before, after)
    fold.put(key, entry, after)


def payment_refunded(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    """A refund; its charge may not be known yet, and its failure may be."""
    data = event["data"]
    key, entry = fold.entry("refund", data["provider"], data["refund_id"])
    before = entry.newest
    assert isinstance(before, RefundState)
    order = (time_us, event["source"], event["id"])
    if not _supplies_fields(before.amount_cents, before.order, data["amount_cents"], order):
        return
    after = before._replace(
        amount_cents=data["amount_cents"],
        order=order,
        charge_id=data["charge_id"],
        original=_original(data.get("original")),
    )
    _move_refund(fold, data["provider"], before, after)
    fold.put(key, entry, after)


def payment_refund_failed(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    """A refund that failed counts nowhere, whichever of the two facts comes first."""
    data = event["data"]
    key, entry = fold.entry("refund", data["provider"], data["refund_id"])
    before = entry.newest
    assert isinstance(before, RefundState)
    if before.failed:
        return
    after = before._replace(failed=True)
    _move_refund(fold, data["provider"], before, after)
    fold.put(key, entry, after)


def dispute_opened(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    """An open dispute takes nothing; it is kept to tell a second opening with another amount."""
    data = event["data"]
    key, entry = fold.entry("dispute", data["provider"], data["dispute_id"])
    before = entry.newest
    assert isinstance(before, DisputeState)
    order = (time_us, event["source"], event["id"])
    if _supplies_fields(before.amount_cents, before.order, data["amount_cents"], order):
        fold.put(key, entry, before._replace(amount_cents=data["amount_cents"], order=order))


def dispute_closed(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    """Of a dispute's closings the latest counts; lost takes the whole charge."""
    data = event["data"]
    key, entry = fold.entry("dispute", data["provider"], data["dispute_id"])
    before = entry.newest
    assert isinstance(before, DisputeState)
    order = (time_us, event["source"], event["id"])
    if before.closing is not None and order <= before.closing:
        return
    after = before._replace(closing=order, closing_charge_id=data["charge_id"], lost=data["outcome"] == "lost")
    for state, change in ((before, -1), (after, 1)):
        if state.lost:
            _change_charge(fold, data["provider"], state.closing_charge_id, lost_disputes=change)
    fold.put(key, entry, after)


def payment_failed(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    """A failed attempt counts in no total here; only a conflict about it must be told."""
    data = event["data"]
    _amount(fold, "attempt", data["provider"], data["attempt_id"], data["amount_cents"])


def auto_recharge_triggered(fold: TouchedUser, event: PlainEvent, time_us: int) -> None:
    """As a failed attempt."""
    data = event["data"]
    _amount(fold, "trigger", "", data["trigger_id"], data["amount_cents"])


def _supplies_fields(known_amount: int | None, known_order: Order | None, amount: int, order: Order) -> bool:
    """Whether this fact becomes the one that supplies its identity's fields; raises on another amount."""
    if known_amount is None or known_order is None:
        return True
    _refuse_conflict(known_amount, amount)
    return order < known_order


def _refuse_conflict(known_amount: int, amount: int) -> None:
    if known_amount != amount:
        raise InvalidEvent(Reason.CONFLICT, f"this identity is known with {known_amount} cents, not {amount}")


def _amount(fold: TouchedUser, kind: str, provider: str, identity: str, amount: int) -> None:
    key, entry = fold.entry(kind, provider, identity)
    state = entry.newest
    assert isinstance(state, AmountState)
    if state.amount_cents is None:
        fold.put(key, entry, AmountState(amount))
    else:
        _refuse_conflict(state.amount_cents, amount)


def _move_refund(fold: TouchedUser, provider: str, before: RefundState, after: RefundState) -> None:
    for state, change in ((before, -1), (after, 1)):
        if state.amount_cents is None or state.failed:
            continue
        fold.user.refunds += change
        fold.user.refunded_cents += change * state.amount_cents
        _change_charge(
            fold,
            provider,
            state.charge_id,
            refunded=change * state.amount_cents,
            original=state.original,
            sign=change,
        )


def _change_charge(
    fold: TouchedUser,
    provider: str,
    charge_id: str,
    *,
    refunded: int = 0,
    original: Original | None = None,
    sign: int = 1,
    lost_disputes: int = 0,
) -> None:
    key, entry = fold.entry("charge", provider, charge_id)
    before = entry.newest
    assert isinstance(before, ChargeState)
    after = before._replace(
        refunded_cents=before.refunded_cents + refunded,
        refunded_originals=_add_original(before.refunded_originals, original, sign),
        lost_disputes=before.lost_disputes + lost_disputes,
    )
    _move_charge(fold, before, after)
    fold.put(key, entry, after)


def _move_charge(fold: TouchedUser, before: ChargeState, after: ChargeState) -> None:
    old, new = _remainder(before), _remainder(after)
    fold.user.spent_cents += new - old
    fold.user.purchases += (new > 0) - (old > 0)


def _remainder(charge: ChargeState) -> int:
    if charge.amount_cents is None:
        return 0
    original_minor, refunded_minor = None, 0
    if charge.original is not None:
        original_minor = int(charge.original[0], 16)
        refunded_minor = int(
            {currency: minor for minor, currency in charge.refunded_originals}.get(charge.original[1], "0"), 16
        )
    return remainder(
        charge.amount_cents,
        charge.refunded_cents,
        original_minor=original_minor,
        refunded_original_minor=refunded_minor,
        dispute_lost=charge.lost_disputes > 0,
    )


def _original(original: dict[str, Any] | None) -> Original | None:
    return None if original is None else (f"{original['amount_minor']:x}", original["currency"])


def _add_original(sums: tuple[Original, ...], original: Original | None, sign: int) -> tuple[Original, ...]:
    if original is None:
        return sums
    by_currency = {currency: int(minor, 16) for minor, currency in sums}
    minor, currency = original
    by_currency[currency] = by_currency.get(currency, 0) + sign * int(minor, 16)
    return tuple((f"{total:x}", currency) for currency, total in sorted(by_currency.items()) if total)
