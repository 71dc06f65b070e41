"""Rows as both sides of the comparison have them: by table and primary key, a column's name to its value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import asyncpg

from schemas.plain import PlainEvent

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
"""What outlives the tables and is compared beside them, by its place in the log; which is not the primary key: who
writes past the projections can make two rows about one record."""
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


def kind_of(event: PlainEvent) -> str:
    """Return the middle of the event type's name: `payment.succeeded`."""
    return KINDS[event["type"]]


def data_of(event: PlainEvent) -> Mapping[str, Any]:
    """Return the event's data; some kinds may come without."""
    return event.get("data") or {}


class _Kinds(dict[str, str]):
    def __missing__(self, event_type: str) -> str:
        kind = event_type.removeprefix("botpulse.").rpartition(".")[0]
        self[event_type] = kind
        return kind


KINDS: Final = _Kinds()
"""The middle of each event type's name, for whoever asks once an event."""


def order_of(event: PlainEvent) -> tuple[datetime, str, str]:
    """Return (time, source, id)."""
    return (event["time"], event["source"], event["id"])


def original_of(data: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Return amount and currency of what was really charged, if it is told."""
    original = data.get("original")
    return (None, None) if original is None else (original["amount_minor"], original["currency"])


def stored_row(table: str, record: Mapping[str, Any]) -> tuple[Key, Row]:
    """Return a row of the database as it is compared."""
    row = dict(record)
    key = tuple(row.pop(column) for column in key_columns(table))
    row |= {column: read(row[column]) for column, read in _PACKED.get(table, {}).items()}
    return key, row


def agree(table: str, records: Sequence[asyncpg.Record], folded: Mapping[Key, Row]) -> bool:
    """Tell whether these rows of the database are the folded ones, each once: what `compare` would find nothing in, but
    told in a fraction of the time, since no row of the database is taken apart into a dictionary."""
    if len(records) != len(folded):
        return False
    if not records:
        return True
    keys, packed = key_columns(table), _PACKED.get(table, {})
    columns = list(records[0].keys())
    plain = [column for column in columns if column not in keys and column not in packed]
    # A row of the database is faster asked for the number of a column than for its name.
    key_of = _values_of([columns.index(column) for column in keys])
    # Elsewhere the primary key sees to it that none is there twice, and so, of as many rows, none is missing.
    if table in TRAIL_KEYS and len(set(map(key_of, records))) != len(folded):
        return False
    stored_of, folded_of = _values_of([columns.index(column) for column in plain]), _values_of(plain)
    others = len(columns) - len(keys)
    try:
        for record in records:
            row = folded[key_of(record)]
            if stored_of(record) != folded_of(row) or len(row) != others:
                return False
            for column, read in packed.items():
                if read(record[column]) != row[column]:
                    return False
    except KeyError:  # a row or a column that only one of them has
        return False
    return True


def repeated(table: str, records: Iterable[asyncpg.Record]) -> dict[Key, int]:
    """Return the keys under which the database has more than one row, with how many: `compare` sees one of them."""
    if table not in TRAIL_KEYS:
        return {}
    rows = Counter(tuple(record[column] for column in key_columns(table)) for record in records)
    return {key: number for key, number in rows.items() if number > 1}


def key_columns(table: str) -> tuple[str, ...]:
    """Return the columns by which a table's rows are known."""
    return KEYS.get(table) or TRAIL_KEYS[table]


def _values_of(columns: Sequence[int] | Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """itemgetter, but a tuple also for one column and for none."""
    if not columns:
        return lambda _: ()
    if len(columns) == 1:
        (only,) = columns
        return lambda row: (row[only],)
    return itemgetter(*columns)


def unordered(packed: bytes, size: int = _ACTION_BYTES) -> list[bytes]:
    """Return a day's packed actions or offers without their order, which is that of arrival."""
    return [packed] if len(packed) == size else sorted(packed[at : at + size] for at in range(0, len(packed), size))


def _json(text: str | None) -> Any:
    return text and json.loads(text)


_PACKED: Final[dict[str, dict[str, Callable[[Any], Any]]]] = {
    "user_days": {"actions": unordered},
    "user_offers": {"moments": lambda packed: unordered(packed, _MOMENT_BYTES)},
    "tier_history": {"caused_by": _json},
    "audit_log": {"before": _json, "after": _json},
}
"""Columns that are stored in another form than they are compared in, and how they are read."""
