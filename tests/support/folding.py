"""Events and arrivals for the folds' tests, and all tables of a database as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import asyncpg

from projections.batch import Arrival
from projections.registry import apply
from projections.verify.rows import KEYS, Rows, stored_row
from projections.verify.tables import fold
from schemas.events import EVENT_TYPES, BotEvent, TierChanged
from schemas.upcasters import upcast

DAY = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
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
    subject = f"content:{members['content_id']}" if kind in ("content.published", "content.changed") else str(user)
    fields = {"id": event_id or f"e{next(_ids)}", "source": source, "subject": subject, "time": time}
    data = members or ({} if "blocked" not in kind else None)
    return upcast(EVENT_TYPES[f"botpulse.{kind}.v1"](**fields, data=data))


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


def tier_changed(user: int, event_id: str, current: str, time: datetime | None = None) -> TierChanged:
    return TierChanged.model_validate({
        "id": event_id, "source": "botpulse:/streams", "subject": str(user), "time": time or at(3),
        "data": {"previous": "new", "current": current, "purchases": 1, "spent_cents": 1000,
                 "benefits": {"discount_percent": 5}, "rules_version": 1, "caused_by": {"source": "/b", "id": "x"}},
    })  # fmt: skip


def arrivals(events: Iterable[BotEvent | TierChanged], first_offset: int = 0, partition: int = 0) -> list[Arrival]:
    """The events as one partition's log, a record a second by the broker's clock."""
    start = datetime(2026, 4, 1, tzinfo=UTC)
    return [
        Arrival(e, "bot.events", partition, offset, start + timedelta(seconds=offset))
        for offset, e in enumerate(events, start=first_offset)
    ]


async def apply_split(connection: asyncpg.Connection, log: Sequence[Arrival], cuts: Iterable[int] = ()) -> int:
    """Apply the log in batches that end at `cuts`; return the number of conflicts."""
    edges = sorted({0, len(log), *(cut for cut in cuts if 0 < cut < len(log))})
    conflicts = 0
    for start, end in pairwise(edges):
        conflicts += (await apply(connection, log[start:end])).conflicts
    return conflicts


async def tables(connection: asyncpg.Connection) -> Rows:
    """Every row of the tables that are verified, by its key."""
    found: Rows = {}
    for table in KEYS:
        records = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608
        found[table] = dict(stored_row(table, record) for record in records)
    return found


def expected(log: Sequence[Arrival]) -> Rows:
    """The same, folded the second way."""
    rows, _ = fold(log)
    return rows


async def facts(connection: asyncpg.Connection) -> Rows:
    """The same without tier_changed_at: what no order of arrival may change."""
    found = await tables(connection)
    for row in found["users"].values():
        del row["tier_changed_at"]
    return found
