"""One user's subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from projections.verify.rows import Key, Row, kind_of
from schemas.plain import PlainEvent

STATUS: Final = {
    "subscription.started": "active",
    "subscription.renewed": "active",
    "subscription.cancelled": "cancelled",
    "subscription.payment_failed": "payment_failed",
}
"""What each kind of event says of the subscription."""
_FIELDS: Final = ("plan", "amount_cents", "charge_id", "expires_at")


def rows(telegram_id: int, events: Sequence[PlainEvent]) -> dict[Key, Row]:
    """Return the rows of a user's subscriptions; `events` are in the order of the log."""
    names = {event["data"]["subscription_id"] for event in events}
    return {(telegram_id, name): _row([e for e in events if e["data"]["subscription_id"] == name]) for name in names}


def _row(events: Sequence[PlainEvent]) -> Row:
    # The sort is stable: on equal times the later in the log comes last.
    ordered = sorted(events, key=itemgetter("time"))
    row: Row = {**dict.fromkeys(_FIELDS), **{f"{name}_at": None for name in _FIELDS}}
    for event in ordered:
        row["status"], row["status_at"] = STATUS[kind_of(event)], event["time"]
        for name, value in event["data"].items():
            if name in _FIELDS:
                row[name], row[f"{name}_at"] = value, event["time"]
    started = [event["time"] for event in ordered if kind_of(event) == "subscription.started"]
    row["started_at"] = min(started, default=None)
    row["renewals"] = sum(kind_of(event) == "subscription.renewed" for event in ordered)
    return row
