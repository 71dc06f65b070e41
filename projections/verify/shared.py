"""What many users add up to: the rows of no single user."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime
from typing import Any, Final

from projections.batch import Arrival, DeadLetter
from projections.verify.content import Item
from projections.verify.rows import Key, Row, Rows
from projections.verify.user import User

_FIGURES: Final = (
    "active_users", "new_users", "messages_received", "messages_sent", "revenue_cents", "refunded_cents",
    "dispute_lost_cents", "successful_payments", "failed_payments", "auto_recharge_triggers", "content_unlocks",
    "credits_spent", "new_disputes",
)  # fmt: skip
_HOURLY: Final = (
    "events", "messages", "messages_sent", "payments", "payment_failures", "refunds", "disputes", "dead_letters",
    "tier_changes", "admin_actions",
)  # fmt: skip


class Shared:
    """Sums over users; those of several partitions add up to those of all."""

    def __init__(self) -> None:
        self.days: defaultdict[date, Counter[str]] = defaultdict(Counter)
        self.hours: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
        self.letters: dict[Key, Row] = {}
        """The first letter about each refused record and stage; letters come in the order of their log."""
        self.triggers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.items: defaultdict[str, Item] = defaultdict(Item)
        self.patterns: Counter[tuple[int, int, str]] = Counter()
        """Messages by weekday, hour and kind."""
        self.referrers: set[int] = set()

    def describe(self, event: Any) -> None:
        """Take in that a content item was published or changed."""
        self.items[event.data.content_id].describe(event)
        self._count(event.time, "events")

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

    def _count(self, time: datetime, column: str) -> None:
        self.hours[time.replace(minute=0, second=0, microsecond=0)][column] += 1

    def add(self, user: User) -> None:
        """Add what a user, whose events are all folded, contributes."""
        for day, column, amount in user.day_figures():
            self.days[day][column] += amount
        for event_type, cents in user.purchase_triggers():
            self.triggers[event_type].update(purchases=1, revenue_cents=cents)
        for time, column in user.hour_figures():
            self._count(time, column)
        self.patterns.update((time.isoweekday(), time.hour, kind) for time, kind in user.messages)
        for content_id in {deed.content_id for deed in user.deeds}:
            self.items[content_id].add(deed for deed in user.deeds if deed.content_id == content_id)
        self.referrers |= user.referrers

    def merge(self, other: Shared) -> None:
        """Add the sums of other users."""
        for day, figures in other.days.items():
            self.days[day].update(figures)
        for event_type, sums in other.triggers.items():
            self.triggers[event_type].update(sums)
        for hour, counts in other.hours.items():
            self.hours[hour].update(counts)
        for identity, letter in other.letters.items():
            self.letters.setdefault(identity, letter)
        self.patterns.update(other.patterns)
        for content_id, item in other.items.items():
            self.items[content_id].merge(item)
        self.referrers |= other.referrers

    def rows(self) -> Rows:
        """Return the rows; a day or an hour in which nothing was counted has none."""
        hours = {hour: Counter(counts) for hour, counts in self.hours.items()}
        for letter in self.letters.values():
            hour = letter["appended_at"].replace(minute=0, second=0, microsecond=0)
            hours.setdefault(hour, Counter())["dead_letters"] += 1
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
                for day, figures in self.days.items()
                if any(figures.values())
            },
            "message_patterns": {pattern: {"messages": messages} for pattern, messages in self.patterns.items()},
            "content_items": {(content_id,): item.row() for content_id, item in self.items.items()},
        }
