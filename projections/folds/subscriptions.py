"""subscriptions: of each field the latest word counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg

from projections.folds.journal import Entry
from projections.folds.work import Work, columns
from projections.sql import query
from schemas.events import SubscriptionCancelled, SubscriptionPaymentFailed, SubscriptionRenewed, SubscriptionStarted

_STATUS: Final[dict[Any, str]] = {
    SubscriptionStarted: "active",
    SubscriptionRenewed: "active",
    SubscriptionCancelled: "cancelled",
    SubscriptionPaymentFailed: "payment_failed",
}
_FIELDS: Final = ("plan", "amount_cents", "charge_id", "expires_at")
_UNSAID: Final = (None, None)

Key = tuple[int, str]
"""telegram_id and subscription_id."""


@dataclass(slots=True)
class Subscription:
    """What a batch says of a subscription; `said` has each field's value and when it was said."""

    status: str
    status_at: datetime
    started_at: datetime | None = None
    renewals: int = 0
    said: dict[str, tuple[Any, datetime]] = field(default_factory=dict)


def fold(entries: Iterable[Entry]) -> dict[Key, Subscription]:
    """Return what the events, in the order of the log, say of subscriptions. Pure."""
    found: dict[Key, Subscription] = {}
    for _, telegram_id, event, _ in entries:
        data, time, status = event.data, event.time, _STATUS[type(event)]
        key = (telegram_id, data.subscription_id)
        subscription = found.get(key)
        if subscription is None:
            subscription = found[key] = Subscription(status, time)
        elif time >= subscription.status_at:
            subscription.status, subscription.status_at = status, time
        if isinstance(event, SubscriptionRenewed):
            subscription.renewals += 1
        elif isinstance(event, SubscriptionStarted):
            started_at = subscription.started_at
            subscription.started_at = time if started_at is None else min(started_at, time)
        for name in data.model_fields_set.intersection(_FIELDS):
            known = subscription.said.get(name)
            if known is None or time >= known[1]:
                subscription.said[name] = (getattr(data, name), time)
    return found


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Write the subscriptions of the batch."""
    found = fold(work.journal.of(*_STATUS))
    if not found:
        return
    rows = []
    for key, s in sorted(found.items()):
        said = [part for name in _FIELDS for part in s.said.get(name, _UNSAID)]
        rows.append((*key, s.status, s.status_at, s.started_at, s.renewals, *said))
    await connection.execute(query("subscriptions", "write_subscriptions"), *columns(rows))
