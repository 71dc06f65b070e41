"""The daily part of the books: one entry a UTC day, with the columns of daily_metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

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


def _date(at: datetime) -> str:
    return at.date().isoformat()
