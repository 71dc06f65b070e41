"""What many users add up to: the rows of no single user."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from typing import Final

from projections.batch import Arrival, DeadLetter
from projections.verify.content import Deed, Item
from projections.verify.rows import Key, Row, Rows, kind_of
from projections.verify.user import User
from schemas.plain import PlainEvent

_FIGURES: Final = (
    "active_users", "new_users", "messages_received", "messages_sent", "revenue_cents", "refunded_cents",
    "dispute_lost_cents", "successful_payments", "failed_payments", "auto_recharge_triggers", "content_unlocks",
    "credits_spent", "new_disputes",
)  # fmt: skip
_KINDS: Final = {
    "message.received": "messages",
    "message.sent": "messages_sent",
    "admin.action_taken": "admin_actions",
}
"""Kinds of events that hours count beside all events."""
_HOURLY: Final = (
    "events", "messages", "messages_sent", "payments", "payment_failures", "refunds", "disputes", "dead_letters",
    "tier_changes", "admin_actions",
)  # fmt: skip


class Shared:
    """Sums over users; those of several partitions add up to those of all."""

    def __init__(self) -> None:
        self.days: Counter[tuple[date, str]] = Counter()
        """The figures of days."""
        self.hours: Counter[tuple[date, int, str]] = Counter()
        """What hours count beside events, by day, hour and column."""
        self.events: Counter[tuple[date, int, str]] = Counter()
        """Events by day, hour and kind."""
        self.letters: dict[Key, Row] = {}
        """The first letter about each refused record and stage; letters come in the order of their log."""
        self.triggers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.items: defaultdict[str, Item] = defaultdict(Item)
        self.patterns: Counter[tuple[int, int, str]] = Counter()
        """Messages by weekday, hour and kind."""
        self.referrers: set[int] = set()

    def describe(self, event: PlainEvent) -> None:
        """Take in that a content item was published or changed."""
        time = event["time"]
        self.items[event["data"]["content_id"]].describe(event)
        self.events[time.date(), time.hour, kind_of(event)] += 1

    def refused(self, arrival: Arrival) -> None:
        """Take in a dead letter."""
        letter = arrival.event
        assert isinstance(letter, DeadLetter)
        row = {
            "reason": letter.reason,
            "detail": letter.detail,
            "appended_at": arrival.appended_at,
            "letter_partition": arrival.partition,
            "letter_offset": arrival.offset,
        }
        self.letters.setdefault((letter.topic, letter.partition, letter.offset, letter.stage), row)

    def add(self, user: User) -> None:
        """Add what a user, whose events are all folded, contributes."""
        for day, column, amount in user.day_figures():
            self.days[day, column] += amount
        for event_type, cents in user.purchase_triggers():
            self.triggers[event_type].update(purchases=1, revenue_cents=cents)
        self.events.update([(time.date(), time.hour, kind) for time, kind in user.events])
        for time, column in user.hour_figures():
            self.hours[time.date(), time.hour, column] += 1
        self.patterns.update([(time.isoweekday(), time.hour, kind) for time, kind in user.messages])
        deeds: defaultdict[str, list[Deed]] = defaultdict(list)
        for deed in user.deeds:
            deeds[deed.content_id].append(deed)
        for content_id, of_item in deeds.items():
            self.items[content_id].add(of_item)
        self.referrers |= user.profile.referrers

    def merge(self, other: Shared) -> None:
        """Add the sums of other users."""
        self.days.update(other.days)
        self.hours.update(other.hours)
        self.events.update(other.events)
        for event_type, sums in other.triggers.items():
            self.triggers[event_type].update(sums)
        for identity, letter in other.letters.items():
            self.letters.setdefault(identity, letter)
        self.patterns.update(other.patterns)
        for content_id, item in other.items.items():
            self.items[content_id].merge(item)
        self.referrers |= other.referrers

    def rows(self) -> Rows:
        """Return the rows; a day or an hour in which nothing was counted has none."""
        hours: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
        for (day, hour, column), count in self.hours.items():
            hours[_moment(day, hour)][column] += count
        for (day, hour, kind), count in self.events.items():
            hours[_moment(day, hour)]["events"] += count
            if kind in _KINDS:
                hours[_moment(day, hour)][_KINDS[kind]] += count
        for letter in self.letters.values():
            hours[letter["appended_at"].replace(minute=0, second=0, microsecond=0)]["dead_letters"] += 1
        days: defaultdict[date, Counter[str]] = defaultdict(Counter)
        for (day, column), amount in self.days.items():
            days[day][column] += amount
        return {
            "hourly_metrics": {
                (hour,): {column: counts[column] for column in _HOURLY} for hour, counts in hours.items()
            },
            "dead_letters": self.letters,
            "purchase_triggers": {(event_type,): dict(sums) for event_type, sums in self.triggers.items()},
            "daily_metrics": {
                (day,): {
                    **{column: figures[column] for column in _FIGURES},
                    "net_revenue_cents": figures["revenue_cents"]
                    - figures["refunded_cents"]
                    - figures["dispute_lost_cents"],
                }
                for day, figures in days.items()
                if any(figures.values())
            },
            "message_patterns": {pattern: {"messages": messages} for pattern, messages in self.patterns.items()},
            "content_items": {(content_id,): item.row() for content_id, item in self.items.items()},
        }


def _moment(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
