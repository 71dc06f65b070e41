"""How people behave: patterns, preferences and rolling windows, against what plain counting says."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import asyncpg
import pytest

from projections.access import OWNER
from projections.database import open_connection
from projections.registry import apply
from schemas.events import BotEvent
from schemas.events.messages import MessageKind
from tests.support.folding import apply_split, arrivals, charge, event

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=5000, role=OWNER)
    yield connection
    await connection.close()


def wrote(user: int, time: datetime, kind: str = "text") -> BotEvent:
    return event("message.received", user, time, kind_=kind)


async def test_patterns_by_weekday_hour_and_kind_name_no_user(connection: asyncpg.Connection) -> None:
    sunday = MONDAY + timedelta(days=6, hours=23, minutes=59)
    log = [wrote(1, MONDAY), wrote(2, MONDAY), wrote(2, MONDAY, "voice"), wrote(3, sunday, "command")]
    await apply_split(connection, arrivals([*log, event("message.sent", 1, MONDAY, kind_="text")]), [1, 2])
    rows = await connection.fetch("SELECT weekday, hour, kind, messages FROM message_patterns ORDER BY 1, 2, 3")
    assert [tuple(row) for row in rows] == [(1, 0, "text", 2), (1, 0, "voice", 1), (7, 23, "command", 1)]
    named = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'message_patterns'::regclass AND attname ~ 'telegram'"
    assert await connection.fetchval(named) == 0


async def test_preferences_take_the_first_kind_and_the_earliest_hour_of_equals(connection: asyncpg.Connection) -> None:
    log = [wrote(1, MONDAY + timedelta(hours=n), kind) for n, kind in ((9, "voice"), (7, "command"), (8, "photo"))]
    log += [wrote(2, MONDAY + timedelta(hours=n % 5), "other" if n else "text") for n in range(9)]
    await apply(connection, arrivals([*log, event("message.sent", 3, MONDAY, kind_="text")]))
    rows = await connection.fetch("SELECT * FROM communication_preferences ORDER BY telegram_id")
    assert [dict(row) for row in rows] == [
        {"telegram_id": 1, "preferred_kind": "command", "preferred_hour": 7, "command_share": Decimal("0.3333"),
         "messages": 3},
        {"telegram_id": 2, "preferred_kind": "other", "preferred_hour": 0, "command_share": 0, "messages": 9},
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_preferences_of_random_users(connection: asyncpg.Connection, seed: int) -> None:
    rng = random.Random(seed)
    kinds = get_args(MessageKind)
    log = [
        wrote(rng.randrange(1, 40), MONDAY + timedelta(hours=rng.randrange(200)), rng.choice(kinds)) for _ in range(400)
    ]
    await apply(connection, arrivals(log))
    expected: dict[int, tuple[str, int]] = {}
    for user in {int(e.subject) for e in log}:
        mine = [e for e in log if e.subject == str(user)]
        by_kind, by_hour = Counter(e.data.kind for e in mine), Counter(e.time.hour for e in mine)
        kind = max(kinds, key=lambda k, c=by_kind: (c[k], -kinds.index(k)))
        expected[user] = (kind, max(range(24), key=lambda h, c=by_hour: (c[h], -h)))
    rows = await connection.fetch("SELECT telegram_id, preferred_kind, preferred_hour FROM communication_preferences")
    assert {row[0]: (row[1], row[2]) for row in rows} == expected


FIGURES = ("messages", "purchases", "spend_cents", "credits_spent", "unlocks")


def _counted(log: list[BotEvent], user: int, since: datetime, until: datetime) -> dict[str, int]:
    mine = [e for e in log if e.subject == str(user) and since <= e.time < until]
    by_type: dict[str, list[Any]] = {}
    for e in mine:
        by_type.setdefault(e.type, []).append(e.data)
    paid = by_type.get("botpulse.payment.succeeded.v1", [])
    return {
        "messages": len(by_type.get("botpulse.message.received.v1", [])),
        "purchases": len(paid),
        "spend_cents": sum(data.amount_cents for data in paid),
        "credits_spent": sum(data.credits for data in by_type.get("botpulse.credits.spent.v1", [])),
        "unlocks": len(by_type.get("botpulse.content.unlocked.v1", [])),
    }


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
async def test_rolling_windows_as_of_now(connection: asyncpg.Connection, zone: str) -> None:
    """Also beside their edges, and whatever the reader's time zone."""
    await connection.execute(f"SET timezone = '{zone}'")
    now = datetime.now(UTC)
    hour, day = now.replace(minute=0, second=0, microsecond=0), now.replace(hour=0, minute=0, second=0, microsecond=0)
    edges = [hour - timedelta(hours=23), hour + timedelta(hours=1), day + timedelta(days=1)]
    edges += [day - timedelta(days=back) for back in (0, 1, 6, 29)]
    little = timedelta(microseconds=1)
    log: list[BotEvent] = []
    for number, moment in enumerate(moment for edge in edges for moment in (edge - little, edge, edge + little)):
        log.append(wrote(1, moment))
        log.append(charge(1, moment, f"c{number}", cents=100 + number))
        log.append(event("credits.spent", 1, moment, credits=number + 1, reason="message"))
        log.append(event("content.unlocked", 1, moment, content_id="c", price_cents=5, paid_with="credits"))
        log.append(event("content.viewed", 2, moment, content_id="c"))
    log.append(event("message.sent", 3, now, kind_="text"))
    await apply_split(connection, arrivals(log), range(0, len(log), 7))
    async with connection.transaction():
        now = await connection.fetchval("SELECT now()")
        rows = {row["telegram_id"]: dict(row) for row in await connection.fetch("SELECT * FROM user_rolling")}
    hour, day = now.replace(minute=0, second=0, microsecond=0), now.replace(hour=0, minute=0, second=0, microsecond=0)
    windows = {
        "24h": (hour - timedelta(hours=23), hour + timedelta(hours=1)),
        "7d": (day - timedelta(days=6), day + timedelta(days=1)),
        "30d": (day - timedelta(days=29), day + timedelta(days=1)),
    }
    for user in (1, 2, 3):
        expected = {
            f"{figure}_{window}": count
            for window, bounds in windows.items()
            for figure, count in _counted(log, user, *bounds).items()
        }
        assert rows[user] == {"telegram_id": user, **expected}
    assert rows[1]["messages_24h"] < rows[1]["messages_7d"] < rows[1]["messages_30d"] < len(edges) * 3


def offered(user: int, time: datetime) -> BotEvent:
    return event("content.offered", user, time, content_id="c")


async def triggers(connection: asyncpg.Connection) -> dict[str, tuple[int, int]]:
    return {row[0]: (row[1], row[2]) for row in await connection.fetch("SELECT * FROM purchase_triggers")}


async def test_each_type_before_a_purchase_gets_the_whole_of_it_once(connection: asyncpg.Connection) -> None:
    minute = timedelta(minutes=1)
    log = [
        offered(1, MONDAY - 30 * minute),  # exactly half an hour before, on the day before
        wrote(1, MONDAY - 29 * minute),
        wrote(1, MONDAY - 1 * minute),
        event("content.viewed", 1, MONDAY - 30 * minute - timedelta(microseconds=1), content_id="c"),
        event("credits.spent", 1, MONDAY, credits=1, reason="other"),  # at the moment of the purchase: not before it
        wrote(2, MONDAY - minute),  # somebody else
        charge(1, MONDAY, cents=500),
        charge(1, MONDAY + minute, "c2", cents=70),
    ]
    await apply_split(connection, arrivals(log), range(len(log)))
    assert await triggers(connection) == {
        "content.offered": (1, 500),
        "message.received": (2, 570),
        "payment.succeeded": (1, 70),
        "credits.spent": (1, 70),
    }


async def test_late_offers_and_messages_and_a_charge_that_moves(connection: asyncpg.Connection) -> None:
    minute = timedelta(minutes=1)
    steps: list[tuple[BotEvent, dict[str, tuple[int, int]]]] = [
        (charge(1, MONDAY, event_id="late"), {}),
        (offered(1, MONDAY - minute), {"content.offered": (1, 500)}),
        (wrote(1, MONDAY - 2 * minute), {"content.offered": (1, 500), "message.received": (1, 500)}),
        (wrote(1, MONDAY - 3 * minute), {"content.offered": (1, 500), "message.received": (1, 500)}),
        (charge(1, MONDAY - 90 * minute, event_id="early"), {}),
        (offered(1, MONDAY - 91 * minute), {"content.offered": (1, 500)}),
    ]
    for number, (step, expected) in enumerate(steps):
        await apply(connection, arrivals([step], first_offset=number))
        assert await triggers(connection) == expected, number
