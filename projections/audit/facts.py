"""What of a batch belongs into the audit trail. Pure.

- An admin's action: always.
- A user's change of profile, blocking or auto-recharge: the fields that it changed, before and after, as the tables had
  them when the event was read. A late event that changes nothing, since a later word counts, changes nothing here. The
  stub of a referrer is not a change of that user.
- A change of tier, as streams decided it and the log has it.
- A fact about money: always, with its outcome. A fact that was known already or came too late has no effect, another
  amount for a known charge is a conflict; both are exactly what an auditor asks about. The same event sent twice (same
  source, id and time) is one event.

The members are listed here, not taken from the event classes: a member that a later version of the code knows would
change the rows of old events. A change of these lists is a new FORMAT.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

from projections.folds.journal import Entry
from projections.folds.work import Work
from schemas import events
from schemas.envelope import Envelope

FORMAT: Final = 1
"""Version of the rows: which members they have, and how the hash covers them."""

APPLIED: Final = "applied"

_PAYMENT: Final = ("provider", "method", "amount_cents", "original", "purpose", "auto_recharge")
_MEMBERS: Final[dict[type[Envelope], tuple[str, ...]]] = {
    events.AdminActionTaken: ("action", "target_telegram_id", "reason", "details"),
    events.PaymentSucceeded: ("charge_id", *_PAYMENT, "credits", "content_id", "subscription_id"),
    events.PaymentFailed: ("attempt_id", *_PAYMENT, "failure_code"),
    events.PaymentRefunded: ("refund_id", "charge_id", "provider", "amount_cents", "original", "reason"),
    events.PaymentRefundFailed: ("refund_id", "charge_id", "provider"),
    events.PaymentDisputeOpened: ("dispute_id", "charge_id", "provider", "amount_cents", "reason"),
    events.PaymentDisputeClosed: ("dispute_id", "charge_id", "provider", "outcome"),
}
USER_FIELDS: Final = (
    "username",
    "first_name",
    "last_name",
    "preferred_language",
    "referral_code",
    "is_premium",
    "is_blocked",
    "auto_recharge_enabled",
    "auto_recharge_amount_cents",
    "auto_recharge_credits",
    "auto_recharge_threshold_credits",
    "registered_at",
    "referred_by",
)
"""Of a user's change."""


class Record(NamedTuple):
    """What one event adds to the trail."""

    position: int
    topic: str
    partition: int
    offset: int
    occurred_at: datetime
    kind: str
    telegram_id: int
    source: str
    event_id: str
    outcome: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def records(work: Work) -> list[Record]:
    """Return the batch's records in the order of the log. The projection `users` must have run."""
    found = [
        _record(change.entry, APPLIED, _plain(change.before), _plain(change.after)) for change in work.profile_changes
    ]
    for entry in work.journal.of(*_MEMBERS):
        outcome = work.ledger.outcomes.get(entry.position, APPLIED)
        found.append(_record(entry, outcome, None, _said(entry)))
    for entry in work.journal.of(events.TierChanged):
        data = entry.event.data
        after = {
            "tier": data.current,
            "purchases": data.purchases,
            "spent_cents": data.spent_cents,
            "rules_version": data.rules_version,
        }
        found.append(_record(entry, APPLIED, {"tier": data.previous}, after))
    found.sort(key=attrgetter("position"))
    return found


def _record(entry: Entry, outcome: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Record:
    event, arrival = entry.event, entry.arrival
    return Record(
        entry.position, arrival.topic, arrival.partition, arrival.offset, event.time, _kind(event.type),
        entry.telegram_id, event.source, event.id, outcome, before, after,
    )  # fmt: skip


def _kind(event_type: str) -> str:
    """botpulse.payment.refunded.v1 is payment.refunded."""
    return event_type.removeprefix("botpulse.").rpartition(".")[0]


def _said(entry: Entry) -> dict[str, Any]:
    data = entry.event.data
    said: dict[str, Any] = {}
    for name in _MEMBERS[type(entry.event)]:
        value = getattr(data, name)
        if value is not None:
            said[name] = (
                value if name != "original" else {"amount_minor": value.amount_minor, "currency": value.currency}
            )
    return said


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: fields[name].isoformat().replace("+00:00", "Z") if isinstance(fields[name], datetime) else fields[name]
        for name in USER_FIELDS
        if name in fields
    }
