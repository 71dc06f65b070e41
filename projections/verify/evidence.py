"""The events behind a row, for whoever looks into a difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from projections.verify.differences import Difference, Event
from projections.verify.history import Entry, Verdict
from projections.verify.money import SPENDING
from projections.verify.rows import Key, data_of, kind_of
from schemas.plain import PlainEvent

_SHOWN: Final = 5
OWN_ACTIONS: Final = frozenset(
    {"message.received", "credits.spent", "payment.succeeded", "content.viewed", "content.unlocked"}
)
_PROFILE: Final = frozenset({"user.registered", "user.profile_changed"})
_KINDS: Final[dict[str, frozenset[str]]] = {
    "total_spent_cents": SPENDING,
    "purchase_count": SPENDING,
    "current_tier": SPENDING,
    "tier_changed_at": SPENDING,
    "lifetime_messages": frozenset({"message.received"}),
    "message_credits": frozenset({"credits.granted", "credits.spent"}),
    "last_active": OWN_ACTIONS,
    "last_active_day": OWN_ACTIONS,
    "registered_at": frozenset({"user.registered"}),
    "referred_by": frozenset({"user.registered"}),
    "is_blocked": frozenset({"user.bot_blocked", "user.bot_unblocked"}),
}
_IDENTITIES: Final = ("charge_id", "attempt_id", "refund_id", "dispute_id", "trigger_id")


def events_behind(difference: Difference, key: Key, entries: Sequence[Entry]) -> tuple[Event, ...]:
    """Return the last few of a user's events that the value can depend on."""
    if difference.table == "audit_log":
        return tuple(_event(entry) for entry in entries if (entry.record.topic, *entry_place(entry)) == key)
    concerns = _concerns(difference, key)
    found = [entry for entry in entries if entry.event is not None and concerns(entry.event)]
    return tuple(map(_event, found[-_SHOWN:]))


def entry_place(entry: Entry) -> tuple[int, int]:
    """Partition and offset of the entry's record."""
    return entry.record.partition, entry.record.offset


def _concerns(difference: Difference, key: Key) -> Callable[[PlainEvent], bool]:
    table, column = difference.table, difference.column or ""
    if table in ("users", "user_field_times"):
        name = column.removesuffix("_at") if table == "user_field_times" else column
        if name.startswith("auto_recharge"):
            return lambda event: kind_of(event) == "auto_recharge.configured"
        kinds = _KINDS.get(name, _PROFILE)
        return lambda event: not column or kind_of(event) in kinds
    if table.startswith("payment_") or table == "auto_recharge_triggers":
        return lambda event: key[-1] in map(data_of(event).get, _IDENTITIES)
    if table == "user_days":
        return lambda event: event["time"].date() == key[1]
    if table == "user_sessions":
        near = timedelta(minutes=30)
        return lambda event: kind_of(event) in OWN_ACTIONS and abs(event["time"] - key[1]) <= near
    if table == "user_message_counts":
        return lambda event: kind_of(event) == "message.received"
    if table == "content_buyers":
        return lambda event: data_of(event).get("content_id") == key[0]
    return lambda event: kind_of(event) in SPENDING


def _event(entry: Entry) -> Event:
    record, event = entry.record, entry.event
    what = "" if event is None else kind_of(event)
    if entry.verdict is not Verdict.COUNTED:
        what = f"{what} ({entry.verdict.value}: {entry.why_not})".strip()
    return Event(record.topic, record.partition, record.offset, what)
