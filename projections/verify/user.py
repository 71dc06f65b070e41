"""One user, folded one event at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, get_args

from projections.verify.content import DEEDS, Deed, deed_of
from projections.verify.money import MONEY, SPENDING, Money
from projections.verify.profile import SPEAKING, Profile
from projections.verify.rows import KINDS, Key, Row, Rows
from projections.verify.subscriptions import STATUS
from projections.verify.subscriptions import rows as subscription_rows
from schemas.events import TierChanged
from schemas.events.messages import MessageKind
from schemas.plain import PlainEvent
from schemas.tiers import CURRENT_RULES

_HALF_HOUR: Final = timedelta(minutes=30)
_MICROSECOND: Final = timedelta(microseconds=1)
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ACTIONS: Final = {
    "message.received": 1,
    "credits.spent": 2,
    "payment.succeeded": 3,
    "content.viewed": 4,
    "content.unlocked": 5,
}
"""The own actions, and how a user's day packs their kinds."""
_COUNTED_BY_DAY: Final = {
    "message.received": "messages_received",
    "credits.spent": "credits_spent",
    "content.unlocked": "content_unlocks",
}
_KIND_COLUMNS: Final = {kind: f"kind_{kind}" for kind in get_args(MessageKind)}
_HOUR_COLUMNS: Final = {hour: f"hour_{hour:02}" for hour in range(24)}
_NO_MESSAGES: Final = dict.fromkeys((*_KIND_COLUMNS.values(), *_HOUR_COLUMNS.values()), 0)
_NO_TIME: Final = Decimal(0)

Action = tuple[datetime, str, int]
"""When, what, and how many credits or cents."""


def tier_now(purchases: int, spent_cents: int) -> str:
    """Return the first tier, from the highest down, that either number reaches."""
    for tier in CURRENT_RULES.tiers[:-1]:
        if purchases >= tier.min_purchases or spent_cents >= tier.min_spent_cents:
            return tier.name
    return CURRENT_RULES.tiers[-1].name


class User:
    """What is known of one user."""

    def __init__(self, telegram_id: int) -> None:
        self.telegram_id = telegram_id
        self.money = Money()
        self.profile = Profile(telegram_id)
        self.messages: list[tuple[datetime, str]] = []
        """When each message came, and its kind."""
        self.credits = 0
        self.credits_spent = 0
        self.unlocks = 0
        self.tier = tier_now(0, 0)
        self.tier_changed_at: datetime | None = None
        self.subscriptions: list[PlainEvent] = []
        """The events about subscriptions."""
        self.deeds: list[Deed] = []
        """What the user did with content items."""
        self._actions: list[Action] = []
        self._in_order: list[Action] | None = None
        """All own actions, once somebody has asked for them and until the next event."""
        self._sent: list[datetime] = []
        self._tier_changes: dict[str, Row] = {}
        self.events: list[tuple[datetime, str]] = []
        """When each event happened, and its kind; tier changes are not the bot's."""

    def apply(self, event: PlainEvent, appended_at: datetime) -> str | None:
        """Take one event in, with the broker's time.

        Returns why it is a conflict, and then has changed nothing.
        """
        kind, time = KINDS[event["type"]], event["time"]
        self._in_order = None
        if kind in MONEY:
            conflict = self.money.apply(kind, event)
            if conflict is None:
                self.events.append((time, kind))
                if kind in SPENDING:
                    self._measure(appended_at)
            return conflict
        self.events.append((time, kind))
        if kind == "message.received":
            self.messages.append((time, event["data"]["kind"]))
        elif kind == "message.sent":
            self._sent.append(time)
        elif kind == "credits.granted":
            self.credits += event["data"]["credits"]
        elif kind == "credits.spent":
            self.credits -= event["data"]["credits"]
            self.credits_spent += event["data"]["credits"]
        elif kind == "content.unlocked":
            self.unlocks += 1
        elif kind in SPEAKING:
            self.profile.apply(kind, event)
        if kind in STATUS:
            self.subscriptions.append(event)
        if kind in DEEDS:
            self.deeds.append(deed_of(event))
        if kind in _ACTIONS:
            self._actions.append((time, kind, event["data"]["credits"] if kind == "credits.spent" else 0))
        return None

    def take_tier_change(self, event: TierChanged, partition: int, offset: int) -> None:
        """Take in a tier change at its place in the log."""
        self._tier_changes.setdefault(event.id, _tier_change(event, partition, offset))

    def _measure(self, appended_at: datetime) -> None:
        tier = tier_now(self.money.purchases, self.money.spent_cents)
        if tier != self.tier:
            self.tier, self.tier_changed_at = tier, appended_at

    def actions(self) -> list[Action]:
        """Return the own actions in order of time; a charge is one, at the time that counts for it."""
        if self._in_order is None:
            charges = self.money.charges.values()
            charged = [(event["time"], "payment.succeeded", event["data"]["amount_cents"]) for event in charges]
            self._in_order = sorted([*self._actions, *charged])
        return self._in_order

    def rows(self, sessions_from: datetime | None = None) -> Rows:
        """Return the user's rows in every table; sessions are made of the actions from `sessions_from` on."""
        actions = self.actions()
        return {
            **self.money.rows(self.telegram_id),
            "users": {(self.telegram_id,): self._user(actions)},
            "user_field_times": self.profile.field_times(),
            "user_sessions": self._sessions([a for a in actions if sessions_from is None or a[0] >= sessions_from]),
            "user_days": self._days(actions),
            "user_message_counts": self._message_counts(),
            "user_offers": self._offers(),
            "subscriptions": subscription_rows(self.telegram_id, self.subscriptions),
            "content_buyers": {
                (deed.content_id, self.telegram_id): {} for deed in self.deeds if deed.kind == "content.unlocked"
            },
            "tier_history": {(name,): row for name, row in self._tier_changes.items()},
        }

    def day_figures(self) -> Iterable[tuple[date, str, int]]:
        """Yield what the user adds to the figures of days."""
        for time, column, amount in self.money.day_figures():
            yield time.date(), column, amount
        if self.profile.registered_at is not None:
            yield self.profile.registered_at.date(), "new_users", 1
        for day in {time.date() for time, _, _ in self.actions()}:
            yield day, "active_users", 1
        for time, kind, amount in self._actions:
            if kind in _COUNTED_BY_DAY:
                yield time.date(), _COUNTED_BY_DAY[kind], amount if kind == "credits.spent" else 1
        for time in self._sent:
            yield time.date(), "messages_sent", 1

    def hour_figures(self) -> Iterable[tuple[datetime, str]]:
        """Yield what counts in hours beside the events themselves: a time of the hour, the column."""
        yield from self.money.hour_figures()
        for row in self._tier_changes.values():
            yield row["changed_at"], "tier_changes"

    def purchase_triggers(self) -> Iterable[tuple[str, int]]:
        """Yield, for each purchase, each kind of action or offer in the half hour before it, with its cents."""
        if not self.money.charges:
            return
        offers = [(deed.time, deed.kind, 0) for deed in self.deeds if deed.kind == "content.offered"]
        happened = sorted([*self.actions(), *offers])
        times = [time for time, _, _ in happened]
        for charge in self.money.charges.values():
            first, behind = bisect_left(times, charge["time"] - _HALF_HOUR), bisect_left(times, charge["time"])
            for kind in {kind for _, kind, _ in happened[first:behind]}:
                yield kind, charge["data"]["amount_cents"]

    def _user(self, actions: list[Action]) -> Row:
        last_active = actions[-1][0] if actions else None
        return {
            **self.profile.columns(),
            "total_spent_cents": self.money.spent_cents,
            "purchase_count": self.money.purchases,
            "lifetime_messages": len(self.messages),
            "message_credits": self.credits,
            "last_active": last_active,
            "last_active_day": last_active and last_active.date(),
            "current_tier": self.tier,
            "tier_changed_at": self.tier_changed_at,
        }

    def _offers(self) -> dict[Key, Row]:
        if not self.deeds:
            return {}
        offered = sorted(deed.time for deed in self.deeds if deed.kind == "content.offered")
        days: dict[Key, Row] = {}
        for time in offered:
            moments = days.setdefault((self.telegram_id, time.date()), {"moments": []})["moments"]
            moments.append(((time - _1970) // _MICROSECOND).to_bytes(8, "big"))
        return days

    def _message_counts(self) -> dict[Key, Row]:
        if not self.messages:
            return {}
        row = dict(_NO_MESSAGES)
        for time, kind in self.messages:
            row[_KIND_COLUMNS[kind]] += 1
            row[_HOUR_COLUMNS[time.hour]] += 1
        return {(self.telegram_id,): row}

    def _sessions(self, actions: list[Action]) -> dict[Key, Row]:
        groups: list[list[Action]] = []
        for action in actions:
            if groups and action[0] - groups[-1][-1][0] <= _HALF_HOUR:
                groups[-1].append(action)
            else:
                groups.append([action])
        return {(self.telegram_id, group[0][0]): _session(group, [kind for _, kind, _ in group]) for group in groups}

    def _days(self, actions: list[Action]) -> dict[Key, Row]:
        days: dict[date, list[Action]] = {}
        for action in actions:
            days.setdefault(action[0].date(), []).append(action)
        sent = Counter([time.date() for time in self._sent]) if self._sent else {}
        return {(self.telegram_id, day): _day(days.get(day, []), sent.get(day, 0)) for day in {**days, **sent}}


def _session(actions: list[Action], kinds: list[str]) -> Row:
    start, end = actions[0][0], actions[-1][0]
    return {
        "session_end": end,
        "time_spent_seconds": _NO_TIME if end == start else Decimal((end - start) // _MICROSECOND) / 1_000_000,
        "messages_in_session": kinds.count("message.received"),
        "credits_spent": _sum(actions, "credits.spent"),
        "purchases_in_session": kinds.count("payment.succeeded"),
    }


def _day(actions: list[Action], sent: int) -> Row:
    kinds = [kind for _, kind, _ in actions]
    return {
        "messages_received": kinds.count("message.received"),
        "messages_sent": sent,
        "own_actions": len(actions),
        "purchases": kinds.count("payment.succeeded"),
        "spend_cents": _sum(actions, "payment.succeeded"),
        "credits_spent": _sum(actions, "credits.spent"),
        "unlocks": kinds.count("content.unlocked"),
        "actions": sorted(map(_packed, actions)),
    }


def _sum(actions: list[Action], wanted: str) -> int:
    return sum([amount for _, kind, amount in actions if kind == wanted])


def _packed(action: Action) -> bytes:
    time, kind, amount = action
    microseconds = (time - _1970) // _MICROSECOND
    return (microseconds * 8 + _ACTIONS[kind]).to_bytes(8, "big") + amount.to_bytes(4, "big")


def _tier_change(event: TierChanged, partition: int, offset: int) -> Row:
    return {
        "telegram_id": int(event.subject),
        "changed_at": event.time,
        "previous": event.data.previous,
        "current": event.data.current,
        "purchases": event.data.purchases,
        "spent_cents": event.data.spent_cents,
        "rules_version": event.data.rules_version,
        "caused_by": {"source": event.data.caused_by.source, "id": event.data.caused_by.id},
        "log_partition": partition,
        "log_offset": offset,
    }
