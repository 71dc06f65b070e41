"""The daily and hourly part of the books: one entry a UTC day or hour, with the columns of their tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from deploy.simulate.books_money import Money
from deploy.simulate.books_sessions import Act

COLUMNS = (
    "active_users",
    "new_users",
    "messages_received",
    "messages_sent",
    "revenue_cents",
    "refunded_cents",
    "dispute_lost_cents",
    "net_revenue_cents",
    "successful_payments",
    "failed_payments",
    "auto_recharge_triggers",
    "content_unlocks",
    "credits_spent",
    "new_disputes",
)
"""Every column of daily_metrics but the date."""
_FACTS = (
    ("payment.succeeded", "payments"),
    ("payment.failed", "payment_failures"),
    ("payment.refunded", "refunds"),
    ("payment.dispute_opened", "disputes"),
)
HOURLY = ("events", "messages", "messages_sent", "admin_actions", *(column for _, column in _FACTS))
"""The columns of hourly_metrics that follow from the events' own time."""


def days_of(
    counted: Mapping[str, Mapping[str, int]],
    acts: Mapping[str, list[Act]],
    registrations: Iterable[datetime],
    money: Money,
) -> dict[str, dict[str, int]]:
    """Every day with anything in it; `counted` holds what needs no second look."""
    days: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COLUMNS, 0))
    for date, sums in counted.items():
        for column, count in sums.items():
            days[date][column] += count
    for done in acts.values():
        for date in {_date(act.at) for act in done}:
            days[date]["active_users"] += 1
    for at in registrations:
        days[_date(at)]["new_users"] += 1
    for charge in money.charges():
        day = days[_date(charge.at)]
        day["revenue_cents"] += charge.cents
        day["successful_payments"] += 1
        for refund in money.refunds(charge):
            days[_date(refund.at)]["refunded_cents"] += refund.cents
        lost_at = money.lost_at(charge)
        if lost_at is not None:
            left = max(0, charge.cents - money.refunded(charge))
            days[_date(lost_at)]["dispute_lost_cents"] += left
    for kind, column in (
        ("payment.failed", "failed_payments"),
        ("payment.dispute_opened", "new_disputes"),
        ("auto_recharge.triggered", "auto_recharge_triggers"),
    ):
        for fact in money.of(kind):
            days[_date(fact.at)][column] += 1
    for day in days.values():
        day["net_revenue_cents"] = day["revenue_cents"] - day["refunded_cents"] - day["dispute_lost_cents"]
    return {date: days[date] for date in sorted(days) if any(days[date].values())}


def hours_of(counted: Mapping[str, Mapping[str, int]], money: Money) -> dict[str, dict[str, int]]:
    """Every hour with an event in it; `counted` holds what needs no second look."""
    hours = {hour: {column: sums.get(column, 0) for column in HOURLY} for hour, sums in counted.items()}
    for kind, column in _FACTS:
        for fact in money.of(kind):
            if kind == "payment.refunded" and not money.refund_counts((fact.user, *_refund(fact.data))):
                continue
            hours[hour_text(fact.at)][column] += 1
    return {hour: hours[hour] for hour in sorted(hours)}


def _refund(data: Mapping[str, Any]) -> tuple[str, str]:
    return data["provider"], data["refund_id"]


def hour_text(at: datetime) -> str:
    """The hour of a moment, as the books write times."""
    return at.strftime("%Y-%m-%dT%H:00:00.000000Z")


def _date(at: datetime) -> str:
    return at.date().isoformat()
