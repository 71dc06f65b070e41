"""The events behind a sum over many users: the log is looked through once more, only where such a sum differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from projections.sources.source import LogSource
from projections.verify.differences import Difference, Event
from projections.verify.evidence import OWN_ACTIONS
from projections.verify.rows import data_of, kind_of
from schemas.codec import Decoder
from schemas.errors import InvalidEvent
from schemas.plain import PlainEvent

_SHOWN: Final = 5
_LOOKED_AT: Final = 20
"""Differences whose events are looked for."""
_KINDS: Final[dict[str, frozenset[str]]] = {
    "active_users": OWN_ACTIONS,
    "new_users": frozenset({"user.registered"}),
    "messages": frozenset({"message.received"}),
    "messages_received": frozenset({"message.received"}),
    "messages_sent": frozenset({"message.sent"}),
    "revenue_cents": frozenset({"payment.succeeded"}),
    "successful_payments": frozenset({"payment.succeeded"}),
    "payments": frozenset({"payment.succeeded"}),
    "refunded_cents": frozenset({"payment.refunded", "payment.refund_failed"}),
    "refunds": frozenset({"payment.refunded", "payment.refund_failed"}),
    "dispute_lost_cents": frozenset({"payment.dispute_closed"}),
    "net_revenue_cents": frozenset({"payment.succeeded", "payment.refunded", "payment.dispute_closed"}),
    "failed_payments": frozenset({"payment.failed"}),
    "payment_failures": frozenset({"payment.failed"}),
    "auto_recharge_triggers": frozenset({"auto_recharge.triggered"}),
    "content_unlocks": frozenset({"content.unlocked"}),
    "credits_spent": frozenset({"credits.spent"}),
    "new_disputes": frozenset({"payment.dispute_opened"}),
    "disputes": frozenset({"payment.dispute_opened"}),
    "admin_actions": frozenset({"admin.action_taken"}),
    "offers": frozenset({"content.offered"}),
    "views": frozenset({"content.viewed"}),
    "unlocks": frozenset({"content.unlocked"}),
    "unique_buyers": frozenset({"content.unlocked"}),
}
"""What moves a column; any kind where none is named."""

Concerns = Callable[[PlainEvent], bool]


async def add_events(
    source: LogSource, topic: str, ends: Mapping[int, int], differences: Sequence[Difference]
) -> list[Difference]:
    """Return the differences, those of sums with the first few events of the log that they can depend on."""
    wanted = [(n, concerns) for n, d in enumerate(differences) if (concerns := _concerns(d)) is not None][:_LOOKED_AT]
    found: dict[int, list[Event]] = {number: [] for number, _ in wanted}
    if wanted:
        decoder = Decoder(len(ends))
        async for partition, records in source.read(topic, {}, ends):
            for record in records:
                try:
                    event = decoder.decode_plain(record, partition)
                except InvalidEvent:
                    continue
                for number, concerns in wanted:
                    if len(found[number]) < _SHOWN and concerns(event):
                        found[number].append(Event(topic, partition, record.offset, kind_of(event)))
    return [d._replace(events=tuple(found[n])) if n in found else d for n, d in enumerate(differences)]


def _concerns(difference: Difference) -> Concerns | None:
    place = _PLACES.get(difference.table)
    if place is None:
        return None
    key, kinds = difference.key, _KINDS.get(difference.column or "")
    if difference.table == "message_patterns":
        kinds = _KINDS["messages"]
    elif difference.table == "content_items" and difference.column == "revenue_cents":
        kinds = _KINDS["unlocks"]
    return lambda event: (kinds is None or kind_of(event) in kinds) and place(key, event)


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


_PLACES: Final[dict[str, Callable[[dict[str, Any], PlainEvent], bool]]] = {
    "daily_metrics": lambda key, event: event["time"].date() == key["date"],
    "hourly_metrics": lambda key, event: _hour(event["time"]) == key["hour"],
    "content_items": lambda key, event: data_of(event).get("content_id") == key["content_id"],
    "message_patterns": lambda key, event: (
        (event["time"].isoweekday(), event["time"].hour, event["data"]["kind"])
        == (key["weekday"], key["hour"], key["kind"])
    ),
}
"""Whether an event belongs to a row, by table."""
