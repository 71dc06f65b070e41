"""Rows as both sides of the comparison have them: by table and primary key, a column's name to its value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

Key = tuple[Any, ...]
Row = dict[str, Any]
Rows = dict[str, dict[Key, Row]]

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "users": ("telegram_id",),
    "user_field_times": ("telegram_id",),
    "payment_analytics": ("telegram_id", "provider", "payment_status", "payment_id"),
    "payment_refunds": ("telegram_id", "provider", "refund_id"),
    "payment_disputes": ("telegram_id", "provider", "dispute_id"),
    "auto_recharge_triggers": ("telegram_id", "trigger_id"),
    "user_sessions": ("telegram_id", "session_start"),
    "user_days": ("telegram_id", "date"),
    "tier_history": ("id",),
    "daily_metrics": ("date",),
    "content_items": ("content_id",),
    "content_buyers": ("content_id", "telegram_id"),
    "user_message_counts": ("telegram_id",),
    "message_patterns": ("weekday", "hour", "kind"),
    "dead_letters": ("topic", "partition", "log_offset", "stage"),
    "hourly_metrics": ("hour",),
    "user_offers": ("telegram_id", "date"),
    "purchase_triggers": ("event_type",),
    "subscriptions": ("telegram_id", "subscription_id"),
}
"""The tables that are compared, with the columns of their primary keys."""
TRAIL_KEYS: Final[dict[str, tuple[str, ...]]] = {"audit_log": ("topic", "log_partition", "log_offset")}
"""What outlives the tables and is compared beside them, by its place in the log."""
NOT_COMPARED: Final[dict[str, str]] = {
    "audit_chains": "the ends of audit_log, which `botpulse audit verify` proves together with its hashes",
}
"""The other tables that projections fill, and why not."""
SHARED: Final = frozenset(
    {"daily_metrics", "content_items", "message_patterns", "dead_letters", "hourly_metrics", "purchase_triggers"}
)
"""Tables whose rows sum up many users."""

_ACTION_BYTES: Final = 12
_MOMENT_BYTES: Final = 8


def kind_of(event: Any) -> str:
    """Return the middle of the event type's name: `payment.succeeded`."""
    return _middle(event.type)


@lru_cache(maxsize=256)
def _middle(event_type: str) -> str:
    return event_type.removeprefix("botpulse.").rpartition(".")[0]


def order_of(event: Any) -> tuple[datetime, str, str]:
    """Return (time, source, id)."""
    return (event.time, event.source, event.id)


def original_of(data: Any) -> tuple[int | None, str | None]:
    """Return amount and currency of what was really charged, if it is told."""
    return (None, None) if data.original is None else (data.original.amount_minor, data.original.currency)


def stored_row(table: str, record: Mapping[str, Any]) -> tuple[Key, Row]:
    """Return a row of the database as it is compared."""
    row = dict(record)
    key = tuple(row.pop(column) for column in (KEYS.get(table) or TRAIL_KEYS[table]))
    if table == "user_days":
        row["actions"] = unordered(row["actions"])
    elif table == "user_offers":
        row["moments"] = unordered(row["moments"], _MOMENT_BYTES)
    elif table == "tier_history":
        row["caused_by"] = json.loads(row["caused_by"])
    elif table == "audit_log":
        row |= {name: row[name] and json.loads(row[name]) for name in ("before", "after")}
    return key, row


def unordered(packed: bytes, size: int = _ACTION_BYTES) -> list[bytes]:
    """Return a day's packed actions or offers without their order, which is that of arrival."""
    return sorted(packed[at : at + size] for at in range(0, len(packed), size))
