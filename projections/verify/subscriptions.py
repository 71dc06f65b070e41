"""One user's subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from projections.verify.rows import Key, Row, kind_of

STATUS: Final = {
    "subscription.started": "active",
    "subscription.renewed": "active",
    "subscription.cancelled": "cancelled",
    "subscription.payment_failed": "payment_failed",
}
"""What each kind of event says of the subscription."""
_FIELDS: Final = ("plan", "amount_cents", "charge_id", "expires_at")


def rows(telegram_id: int, events: Sequence[Any]) -> dict[Key, Row]:
    """Return the rows of a user's subscriptions; `events` are in the order of the log."""
    names = {event.data.subscription_id for event in events}
    return {(telegram_id, name): _row([e for e in events if e.data.subscription_id == name]) for name in names}


def _row(events: Sequence[Any]) -> Row:
    # The sort is stable: on equal times the later in the log comes last.
    ordered = sorted(events, key=lambda event: event.time)
    row: Row = {**dict.fromkeys(_FIELDS), **{f"{name}_at": None for name in _FIELDS}}
    for event in ordered:
        row["status"], row["status_at"] = STATUS[kind_of(event)], event.time
        for name in event.data.model_fields_set.intersection(_FIELDS):
            row[name], row[f"{name}_at"] = getattr(event.data, name), event.time
    started = [event.time for event in ordered if kind_of(event) == "subscription.started"]
    row["started_at"] = min(started, default=None)
    row["renewals"] = sum(kind_of(event) == "subscription.renewed" for event in ordered)
    return row
