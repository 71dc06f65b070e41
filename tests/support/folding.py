"""Events and arrivals for the folds' tests, and all tables of a database as plain values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import asyncpg

from projections.batch import Arrival
from projections.registry import apply
from schemas.events import EVENT_TYPES, BotEvent, TierChanged
from schemas.tiers import tier_of
from tests.support.naive_tables import PROFILE, RECHARGE, Naive

DAY = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ids = count()


def at(minutes: float = 0.0, *, days: int = 0) -> datetime:
    """A moment some minutes and days after the noon on which all tests begin."""
    return DAY + timedelta(minutes=minutes, days=days)


def event(
    kind: str,
    user: int = 1,
    time: datetime = DAY,
    *,
    event_id: str | None = None,
    source: str = "/bots/test",
    **data: Any,
) -> BotEvent:
    """An event from the middle of its type's name: event("message.received", 7, at(3), kind_="text")."""
    # Messages carry a member `kind`, as the first parameter is named: it comes as `kind_`.
    members = {name.rstrip("_"): value for name, value in data.items()}
    fields = {"id": event_id or f"e{next(_ids)}", "source": source, "subject": str(user), "time": time}
    return EVENT_TYPES[f"botpulse.{kind}.v1"](**fields, data=members or ({} if "blocked" not in kind else None))


def message(user: int = 1, time: datetime = DAY) -> BotEvent:
    return event("message.received", user, time, kind_="text")


def charge(user: int = 1, time: datetime = DAY, charge_id: str = "c1", cents: int = 500, **more: Any) -> BotEvent:
    members = {"provider": "stripe", "method": "card", **more}
    return event("payment.succeeded", user, time, charge_id=charge_id, amount_cents=cents, **members)


def refund(
    user: int = 1, time: datetime = DAY, refund_id: str = "r1", charge_id: str = "c1", cents: int = 500, **more: Any
) -> BotEvent:
    members = {"provider": "stripe", "charge_id": charge_id, "refund_id": refund_id, "amount_cents": cents, **more}
    return event("payment.refunded", user, time, **members)


def arrivals(events: Iterable[BotEvent | TierChanged], first_offset: int = 0) -> list[Arrival]:
    """The events as one partition's log, a record a second by the broker's clock."""
    start = datetime(2026, 4, 1, tzinfo=UTC)
    return [
        Arrival(e, "bot.events", 0, offset, start + timedelta(seconds=offset))
        for offset, e in enumerate(events, start=first_offset)
    ]


async def apply_split(connection: asyncpg.Connection, log: Sequence[Arrival], cuts: Iterable[int] = ()) -> int:
    """Apply the log in batches that end at `cuts`; return the number of conflicts."""
    edges = sorted({0, len(log), *(cut for cut in cuts if 0 < cut < len(log))})
    conflicts = 0
    for start, end in pairwise(edges):
        conflicts += (await apply(connection, log[start:end])).conflicts
    return conflicts


USER_COLUMNS = (
    *PROFILE.values(), "is_blocked", *RECHARGE.values(), "referred_by", "registered_at", "total_spent_cents",
    "purchase_count", "lifetime_messages", "message_credits", "last_active", "current_tier", "tier_changed_at",
)  # fmt: skip

_SELECTS = {
    "payment_analytics": "telegram_id, provider, charge_id, attempt_id, payment_status, settlement_status, "
    "payment_method_type, amount_cents, refunded_cents, remainder_cents, dispute_lost_cents, dispute_lost_at, "
    "original_amount_minor, original_currency, purpose, failure_code, is_auto_recharge, occurred_at, source, event_id",
    "user_sessions": "telegram_id, session_start, session_end, time_spent_seconds::float8, messages_in_session, "
    "credits_spent, purchases_in_session",
    "user_days": "telegram_id, date, messages_received, messages_sent, own_actions, purchases, spend_cents, "
    "credits_spent, unlocks, actions",
    "daily_metrics": "date, active_users, new_users, messages_received, messages_sent, revenue_cents, refunded_cents, "
    "dispute_lost_cents, successful_payments, failed_payments, auto_recharge_triggers, content_unlocks, "
    "credits_spent, new_disputes, net_revenue_cents",
}


def _plain(value: Any) -> Any:
    return int(value) if type(value).__name__ == "Decimal" else value


def _unpacked(actions: bytes) -> tuple[Any, ...]:
    return tuple(
        sorted(
            (EPOCH + timedelta(microseconds=moment >> 3), moment & 7, n)
            for moment, n in struct.iter_unpack(">QI", actions)
        )
    )


async def tables(connection: asyncpg.Connection) -> dict[str, Any]:
    """Every row of the tables that the oracle knows, as plain values."""
    found: dict[str, Any] = {
        "users": {
            row["telegram_id"]: {name: row[name] for name in USER_COLUMNS}
            for row in await connection.fetch("SELECT * FROM users")
        }
    }
    for table, names in _SELECTS.items():
        rows = [tuple(map(_plain, row)) for row in await connection.fetch(f"SELECT {names} FROM {table}")]  # noqa: S608
        found[table] = sorted(rows, key=str) if table == "payment_analytics" else sorted(rows)
    found["user_days"] = [(*row[:-1], _unpacked(row[-1])) for row in found["user_days"]]
    return found


def expected(log: Sequence[Arrival]) -> dict[str, Any]:
    """The same, as the oracle has them."""
    naive = Naive(log)
    return {
        "users": naive.users(tier_of),
        "payment_analytics": naive.payment_analytics(),
        "user_sessions": naive.user_sessions(),
        "user_days": naive.user_days(),
        "daily_metrics": naive.daily_metrics(),
    }


async def facts(connection: asyncpg.Connection) -> dict[str, Any]:
    """Every row of every table, tier_changed_at and the actions' order apart: what no order of arrival may change."""
    found: dict[str, Any] = await tables(connection)
    for row in found["users"].values():
        del row["tier_changed_at"]
    for table in ("user_field_times", "payment_refunds", "payment_disputes", "auto_recharge_triggers"):
        rows = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608
        found[table] = sorted((tuple(map(_plain, row)) for row in rows), key=str)
    return found
