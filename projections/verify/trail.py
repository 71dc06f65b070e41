"""What the audit trail must say of one user's events: folded a second time, from the contract's words alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from projections.batch import Arrival
from projections.verify.history import Entry, Verdict
from projections.verify.rows import Key, Row, kind_of, order_of
from schemas.events import TierChanged
from schemas.plain import PlainEvent, plain
from schemas.redrive import originals_of

_PAID: Final = ("provider", "method", "amount_cents", "original", "purpose", "auto_recharge")
_SAID: Final[dict[str, tuple[str, ...]]] = {
    "admin.action_taken": ("action", "target_telegram_id", "reason", "details"),
    "payment.succeeded": (*_PAID, "charge_id", "credits", "content_id", "subscription_id"),
    "payment.failed": (*_PAID, "attempt_id", "failure_code"),
    "payment.refunded": ("provider", "refund_id", "charge_id", "amount_cents", "original", "reason"),
    "payment.refund_failed": ("provider", "refund_id", "charge_id"),
    "payment.dispute_opened": ("provider", "dispute_id", "charge_id", "amount_cents", "reason"),
    "payment.dispute_closed": ("provider", "dispute_id", "charge_id", "outcome"),
}
"""The members that the trail repeats, by kind of event."""
_IDENTITY: Final = {
    "payment.succeeded": "charge_id",
    "payment.failed": "attempt_id",
    "payment.refunded": "refund_id",
    "payment.refund_failed": "refund_id",
    "payment.dispute_opened": "dispute_id",
    "payment.dispute_closed": "dispute_id",
}
_FIELDS: Final = {
    "user.registered": {"language": "preferred_language"},
    "user.profile_changed": {"language": "preferred_language"},
    "auto_recharge.configured": {
        "enabled": "auto_recharge_enabled",
        "amount_cents": "auto_recharge_amount_cents",
        "credits": "auto_recharge_credits",
        "threshold_credits": "auto_recharge_threshold_credits",
    },
}
"""Kinds that say something of a profile, with the members whose columns have other names."""
TOLD: Final = frozenset({*_SAID, *_FIELDS, "user.bot_blocked", "user.bot_unblocked"})
"""The kinds of events that the trail tells of."""
_UNSAID: Final = {"is_blocked": False, "auto_recharge_enabled": False}


Order = tuple[datetime, str, str]


@dataclass(slots=True)
class _Profile:
    """What is known of a profile, when each field was said, and by which registration the referrer was named."""

    values: dict[str, Any] = field(default_factory=lambda: dict(_UNSAID))
    times: dict[str, datetime] = field(default_factory=dict)
    referral: Order | None = None


def trail_of(entries: Sequence[Entry], changes: Iterable[Arrival], written: Collection[Key]) -> dict[Key, Row]:
    """Return a user's rows of the trail by topic, partition and offset.

    `entries` are the user's records of the log in order, at least those that are TOLD or did not count, `changes` the
    tier changes. `written` are the rows that there are: where a record was refused first and its copy accepted, the
    trail has the copy for ever, at the copy's place, though today's rules accept the original.
    """
    rows: dict[Key, Row] = {}
    entries = [entry for entry in entries if entry.event is not None and kind_of(entry.event) in TOLD]
    profile = _Profile()
    known: dict[tuple[str, ...], Order] = {}
    for entry in _as_written(entries, written):
        event = entry.event
        assert event is not None
        kind = kind_of(event)
        place = (entry.record.topic, entry.record.partition, entry.record.offset)
        if kind in _SAID:
            outcome = "conflict" if entry.verdict is Verdict.CONFLICT else _outcome(kind, event, known)
            rows[place] = _row(event, outcome, None, _members(kind, event))
        else:
            before = dict(profile.values)
            _say(kind, event, profile)
            changed = [name for name, value in profile.values.items() if value != before.get(name)]
            if changed:
                was = {name: _plain(before.get(name)) for name in changed}
                now = {name: _plain(profile.values[name]) for name in changed}
                rows[place] = _row(event, "applied", was, now)
    for arrival in changes:
        assert isinstance(arrival.event, TierChanged)
        change = plain(arrival.event)
        data = change["data"]
        after = {"tier": data["current"], **{n: data[n] for n in ("purchases", "spent_cents", "rules_version")}}
        place = (arrival.topic, arrival.partition, arrival.offset)
        rows[place] = _row(change, "applied", {"tier": data["previous"]}, after)
    return rows


def _as_written(entries: Sequence[Entry], written: Collection[Key]) -> Iterator[Entry]:
    """The entries with an effect, each at the place at which the trail has it."""
    copied: set[int] = set()
    """Offsets of originals in whose place a copy was accepted."""
    copies: dict[int, Entry] = {}
    repeated = [entry for entry in entries if entry.verdict is Verdict.DUPLICATE]
    by_offset = {entry.record.offset: entry for entry in entries} if repeated else {}
    for entry in repeated:
        record = entry.record
        if (record.topic, record.partition, record.offset) in written:
            for place in originals_of(record.headers):
                original = by_offset.get(place.offset)
                if original is not None and (record.topic, record.partition, place.offset) not in written:
                    copied.add(place.offset)
                    copies[record.offset] = entry._replace(verdict=original.verdict)
    for entry in entries:
        if entry.verdict in (Verdict.COUNTED, Verdict.CONFLICT) and entry.record.offset not in copied:
            yield entry
        elif entry.record.offset in copies:
            yield copies[entry.record.offset]


def _outcome(kind: str, event: PlainEvent, known: dict[tuple[str, ...], Order]) -> str:
    """Whether the fact supplies anything: the smallest order does, of closings the greatest, of failures the first."""
    if kind not in _IDENTITY:
        return "applied"
    identity = (kind, event["data"]["provider"], event["data"][_IDENTITY[kind]])
    order, before = order_of(event), known.get(identity)
    repeated = kind == "payment.refund_failed"
    if before is not None and (repeated or (order <= before if kind == "payment.dispute_closed" else order >= before)):
        return "without_effect"
    known[identity] = order
    return "applied"


def _say(kind: str, event: PlainEvent, profile: _Profile) -> None:
    if kind in ("user.bot_blocked", "user.bot_unblocked"):
        said = {"is_blocked": kind == "user.bot_blocked"}
    else:
        names = _FIELDS[kind]
        said = {names.get(n, n): value for n, value in event["data"].items() if n != "referred_by"}
    time = event["time"]
    for column, value in said.items():
        if column not in profile.times or time >= profile.times[column]:
            profile.times[column], profile.values[column] = time, value
    if kind == "user.registered":
        profile.values["registered_at"] = min(time, profile.values.get("registered_at") or time)
        referrer = event["data"].get("referred_by")
        if referrer not in (None, int(event["subject"])) and (
            profile.referral is None or order_of(event) < profile.referral
        ):
            profile.referral, profile.values["referred_by"] = order_of(event), referrer


def _members(kind: str, event: PlainEvent) -> Row:
    return {name: value for name in _SAID[kind] if (value := event["data"].get(name)) is not None}


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _row(event: PlainEvent, outcome: str, before: Row | None, after: Row) -> Row:
    return {
        "occurred_at": event["time"],
        "kind": kind_of(event),
        "telegram_id": int(event["subject"]),
        "source": event["source"],
        "event_id": event["id"],
        "outcome": outcome,
        "before": before,
        "after": after,
    }
