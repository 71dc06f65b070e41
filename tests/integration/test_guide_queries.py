"""Every statement of the guide, word for word, gives what the simulator's books say.

The analyst runs the queries, the maintenance role the functions; tests/guide/queries.sql has the statements.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.support.databases import fresh_database
from tests.support.simulated import as_role, fill

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 20261125
TEXT = Path(__file__).parents[1].joinpath("guide/queries.sql").read_text()
STATEMENTS = [statement.strip() for statement in re.sub(r"(?m)^--.*$", "", TEXT).split(";") if statement.strip()]
Rows = list[asyncpg.Record]


class Guide:
    """One filled database: the books, the moment of the questions, and who asks them."""

    def __init__(self, books: Mapping[str, Any], analyst: asyncpg.Connection, maintenance: asyncpg.Connection) -> None:
        self.books = books
        self.analyst = analyst
        self.maintenance = maintenance
        self.now = datetime.now(UTC)

    async def ask(self, statement: str) -> Rows:
        """Run one statement of the guide as the role that it is meant for."""
        is_function = re.match(r"SELECT (?:\* FROM )?(?:update|cleanup|check)_\w+\(", statement)
        connection = self.maintenance if is_function else self.analyst
        self.now = await connection.fetchval("SELECT now()")
        return list(await connection.fetch(statement))

    @property
    def today(self) -> date:
        """CURRENT_DATE of the database, which is in UTC."""
        return self.now.date()

    def days(self, back: int) -> dict[date, dict[str, int]]:
        """The books' days since so many days ago."""
        days = {date.fromisoformat(day): figures for day, figures in self.books["days"].items()}
        return {day: figures for day, figures in days.items() if day >= self.today - timedelta(days=back)}

    def users(self) -> Iterator[tuple[int, Decimal, str, str, dict[str, Any]]]:
        """Every user of the books: id, dollars, tier, activity and the rest; referrers who were never seen included."""
        nothing = {"spent_cents": 0, "tier": "new", "last_active": None, "registered_at": None, "credits": 0}
        known = dict(self.books["users"])
        for user in list(known.values()):
            if user["referred_by"] is not None:
                known.setdefault(user["referred_by"], nothing)
        for telegram_id, user in known.items():
            last = user["last_active"] or user["registered_at"]
            silence = self.now - datetime.fromisoformat(last) if last else timedelta.max
            status = "churned"
            if silence <= timedelta(days=30):
                status = "active" if silence <= timedelta(days=7) else "inactive"
            yield int(telegram_id), dollars(user["spent_cents"]), user["tier"], status, user


def dollars(cents: int) -> Decimal:
    return (Decimal(cents) / 100).quantize(Decimal("0.01"))


def gold() -> Iterator[dict[str, Any]]:
    """An item that sells better than any of so small a story."""
    envelope = {"specversion": "1.0", "source": "/bots/gold", "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"}
    item = {"content_id": "gold", "price_cents": 5_000}
    published = {"type": "botpulse.content.published.v1", "data": {**item, "content_type": "video", "title": "Gold"}}
    yield {**envelope, **published, "id": "published", "subject": "content:gold"}
    for number in range(3):
        unlocked = {"type": "botpulse.content.unlocked.v1", "data": {**item, "paid_with": "credits"}}
        yield {**envelope, **unlocked, "id": f"unlocked-{number}", "subject": str(77 + number % 2)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guide(stack: Any, template_database: str) -> AsyncIterator[Guide]:
    async with fresh_database(stack.database_url, template_database) as url:
        books = await fill(url, users=250, events=9_000, seed=SEED, more=list(gold()))
        analyst, maintenance = await as_role(url, "analyst"), await as_role(url, "maintenance")
        try:
            yield Guide(books, analyst, maintenance)
        finally:
            await analyst.close()
            await maintenance.close()


ASKED: set[str] = set()


def starting(words: str) -> str:
    """The one statement that begins so, blanks apart."""
    (found,) = [s for s in STATEMENTS if " ".join(s.split()).startswith(words)]
    ASKED.add(found)
    return found


async def test_daily_metrics_of_the_last_week(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT * FROM daily_metrics WHERE date >="))
    found = {row["date"]: {name: figure for name, figure in row.items() if name != "date"} for row in rows}
    assert found == guide.days(7)
    assert len(found) > 5


async def test_customer_lifetime_value(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT username, total_spent_dollars, current_tier, activity_status FROM"))
    users = sorted(((spent, tier, status) for _, spent, tier, status, _ in guide.users()), reverse=True)
    found = [(row["total_spent_dollars"], row["current_tier"], row["activity_status"]) for row in rows]
    assert [spent for spent, _, _ in found] == [spent for spent, _, _ in users[:20]]
    least = found[-1][0]
    assert Counter(f for f in found if f[0] > least) == Counter(u for u in users if u[0] > least)
    assert len({row["username"] for row in rows}) > 10


async def test_revenue_by_day(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT date, total_revenue, success_rate_percent FROM revenue_dashboard"))
    assert {row["date"]: (row["total_revenue"], row["success_rate_percent"]) for row in rows} == {
        day: (dollars(figures["revenue_cents"]), success(figures)) for day, figures in guide.days(30).items()
    }
    rows = await guide.ask(starting("SELECT * FROM revenue_dashboard WHERE date >="))
    assert {row["date"]: (row["net_revenue"], row["transactions"], row["failed"]) for row in rows} == {
        day: (
            dollars(figures["net_revenue_cents"]),
            figures["successful_payments"] + figures["failed_payments"],
            figures["failed_payments"],
        )
        for day, figures in guide.days(30).items()
    }


def percent(part: int, whole: int) -> Decimal | None:
    return (Decimal(100 * part) / whole).quantize(Decimal("0.01"), ROUND_HALF_UP) if whole else None


def success(figures: Mapping[str, int]) -> Decimal | None:
    succeeded, failed = figures["successful_payments"], figures["failed_payments"]
    return percent(succeeded, succeeded + failed)


async def test_content(guide: Guide) -> None:
    items = guide.books["content"]
    rows = await guide.ask(starting("SELECT content_type, total_revenue, purchases_per_day FROM content_performance"))
    expected = []
    for item in items.values():
        age = (guide.now - datetime.fromisoformat(item["first_fact_at"])) / timedelta(days=1)
        per_day = item["unlocks"] / max(1.0, age)
        expected.append((item["content_type"], dollars(item["revenue_cents"]), pytest.approx(per_day, abs=1e-3)))
    revenues = [row["total_revenue"] for row in rows]
    assert revenues == sorted(revenues, reverse=True)
    found = sorted((str(row[0]), row[1], float(row[2])) for row in rows)
    assert found == sorted(((str(t), r, p) for t, r, p in expected), key=lambda row: (row[0], row[1], row[2].expected))

    rows = await guide.ask(starting("SELECT * FROM content_performance WHERE total_revenue > 100"))
    assert {row["content_id"]: (row["views"], row["unlocks"], row["unique_buyers"], row["title"]) for row in rows} == {
        name: (item["views"], item["unlocks"], item["unique_buyers"], item["title"])
        for name, item in items.items()
        if item["revenue_cents"] > 100_00
    }
    assert rows
    for row in rows:
        assert row["purchase_rate_percent"] == percent(row["unlocks"], row["views"])

    rows = await guide.ask(starting("SELECT content_type, AVG(total_revenue), COUNT(*) FROM content_performance"))
    by_type = defaultdict(list)
    for item in items.values():
        by_type[item["content_type"]].append(Decimal(item["revenue_cents"]) / 100)
    assert {row["content_type"]: (float(row["avg"]), row["count"]) for row in rows} == {
        name: (pytest.approx(float(sum(of_type) / len(of_type))), len(of_type)) for name, of_type in by_type.items()
    }
    averages = [row["avg"] for row in rows]
    assert averages == sorted(averages, reverse=True)


async def test_thirty_days_of_figures(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT date, active_users, new_users, revenue_cents / 100 as revenue_dollars"))
    days = sorted(guide.days(100).items(), reverse=True)[:30]
    assert [tuple(row) for row in rows] == [
        (
            day, f["active_users"], f["new_users"], f["revenue_cents"] // 100, f["auto_recharge_triggers"],
            f["content_unlocks"],
        )
        for day, f in days
    ]  # fmt: skip


async def test_sessions(guide: Guide) -> None:
    (row,) = await guide.ask(starting("SELECT AVG(time_spent_seconds / 60) as avg_session_minutes"))
    since = datetime.combine(guide.today - timedelta(days=7), datetime.min.time(), UTC)
    mine = [s for s in guide.books["sessions"] if datetime.fromisoformat(s["session_start"]) >= since]
    for column, figure, by in (
        ("avg_session_minutes", "time_spent_seconds", 60),
        ("avg_messages_per_session", "messages_in_session", 1),
        ("avg_credits_per_session", "credits_spent", 1),
    ):
        assert float(row[column]) == pytest.approx(sum(s[figure] for s in mine) / len(mine) / by)
    assert len(mine) > 20


async def test_payment_methods(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT payment_method_type, COUNT(*) as total_attempts"))
    attempts: dict[str, Counter[str]] = defaultdict(Counter)
    for payment in guide.books["payments"]:
        attempts[payment["payment_method_type"]][payment["payment_status"]] += 1
    assert {row["payment_method_type"]: tuple(row)[1:] for row in rows} == {
        method: (c.total(), c["succeeded"], percent(c["succeeded"], c.total())) for method, c in attempts.items()
    }
    assert len(rows) > 3


async def test_referrals(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT referrer.username as referrer, COUNT(referred.telegram_id)"))
    referred: dict[str, list[int]] = defaultdict(list)
    for user in guide.books["users"].values():
        if user["referred_by"] is not None:
            referred[user["referred_by"]].append(user["spent_cents"])
    made = [row["referrals_made"] for row in rows]
    assert made == sorted(made, reverse=True)
    assert Counter((row["referrals_made"], row["referred_revenue"]) for row in rows) == Counter(
        (len(cents), Decimal(sum(cents)) / 100) for cents in referred.values()
    )
    # The view of the same name says it too.
    shown = await guide.analyst.fetch(
        "SELECT telegram_id, referrals_made, referred_revenue FROM referral_effectiveness"
    )
    assert {str(row[0]): (row[1], row[2]) for row in shown} == {
        user: (len(cents), dollars(sum(cents))) for user, cents in referred.items()
    }


async def test_active_users(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT * FROM user_dashboard WHERE activity_status = 'active' LIMIT 10"))
    active = {telegram_id: (spent, tier) for telegram_id, spent, tier, status, _ in guide.users() if status == "active"}
    assert len(rows) == 10
    for row in rows:
        assert active[row["telegram_id"]] == (row["total_spent_dollars"], row["current_tier"])
        assert row["activity_status"] == "active"


async def test_monitoring_of_the_last_day(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT * FROM admin_monitoring WHERE hour >="))
    hours = {datetime.fromisoformat(hour): figures for hour, figures in guide.books["hours"].items()}
    expected = {hour: f for hour, f in hours.items() if hour >= guide.now - timedelta(hours=24)}
    found = {row["hour"]: {name: row[name] for name in next(iter(hours.values()))} for row in rows}
    assert found == expected
    assert len(found) > 10
    for row in rows:
        assert row["failure_rate_percent"] == percent(
            row["payment_failures"], row["payments"] + row["payment_failures"]
        )


async def test_counts(guide: Guide) -> None:
    users = list(guide.users())
    (row,) = await guide.ask(starting("SELECT COUNT(*) FROM user_dashboard"))
    assert row["count"] == len(users)
    (row,) = await guide.ask(starting("SELECT COUNT(*) FROM daily_metrics"))
    assert row["count"] == len(guide.books["days"])


async def test_valuable_customers(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT username, total_spent_dollars, current_tier FROM user_dashboard WHERE"))
    expected = sorted(((spent, tier) for _, spent, tier, _, _ in guide.users() if spent > 50), reverse=True)
    assert sorted(((row[1], row[2]) for row in rows), reverse=True) == expected
    assert [row[1] for row in rows] == [spent for spent, _ in expected]
    assert rows


async def test_users_who_might_be_churning(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT username, last_active, message_credits FROM user_dashboard"))
    expected = [
        (datetime.fromisoformat(user["last_active"]), user["credits"])
        for _, spent, _, status, user in guide.users()
        if status == "inactive" and spent > 20
    ]
    assert sorted((row["last_active"], row["message_credits"]) for row in rows) == sorted(expected)
    assert rows


async def test_growth_by_month(guide: Guide) -> None:
    rows = await guide.ask(starting("SELECT DATE_TRUNC('month', date) as month, SUM(new_users)"))
    months: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for day, figures in guide.days(100).items():
        months[day.replace(day=1)][0] += figures["new_users"]
        months[day.replace(day=1)][1] += figures["revenue_cents"]
    assert [(row["month"].date(), row["new_users"], row["revenue"]) for row in rows] == [
        (month, new, Decimal(cents) / 100) for month, (new, cents) in sorted(months.items(), reverse=True)
    ]


async def test_the_functions_change_nothing_that_the_projections_wrote(guide: Guide) -> None:
    async def tables() -> list[Rows]:
        return [
            await guide.analyst.fetch("SELECT * FROM daily_metrics ORDER BY date"),
            await guide.analyst.fetch("SELECT telegram_id, current_tier, total_spent_cents FROM users ORDER BY 1"),
        ]

    before = await tables()
    await guide.ask(starting("SELECT update_daily_metrics()"))
    rows = await guide.ask(starting("SELECT update_user_tier(telegram_id) FROM users"))
    assert Counter(row[0] for row in rows) == Counter(tier for _, _, tier, _, _ in guide.users())
    assert await tables() == before
    for words in ("SELECT cleanup_old_data()", "SELECT * FROM check_database_health()"):
        assert await guide.ask(starting(words)), words
        assert await tables() == before


async def test_who_turned_inactive_this_week_and_paid(guide: Guide) -> None:
    rows = await guide.analyst.fetch(
        "SELECT telegram_id, last_active, inactive_since, now() AS now FROM churn_warnings"
    )
    expected = {
        telegram_id
        for telegram_id, _, _, _, user in guide.users()
        if user.get("purchases")
        and timedelta(days=7) < guide.now - datetime.fromisoformat(user["last_active"]) <= timedelta(days=14)
    }
    assert {row["telegram_id"] for row in rows} == expected
    assert expected
    assert all(row["inactive_since"] - row["last_active"] == timedelta(days=7) for row in rows)


async def test_every_statement_was_asked(guide: Guide) -> None:
    assert set(STATEMENTS) == ASKED
