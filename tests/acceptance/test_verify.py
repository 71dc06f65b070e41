"""`botpulse verify` and `explain`: a clean run verifies clean, also beside live work; what is falsified is named."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from projections.sources.broker import BrokerAddress
from projections.verify.explain import explain, steps_of
from projections.verify.history import History, Verdict, broker_time
from projections.verify.partition import Selection
from projections.verify.rows import KEYS
from projections.verify.run import Outcome, verify
from schemas.codec import Decoder
from tests.conftest import TEST_PARTITIONS
from tests.support import log
from tests.support.installation import Installation

EVENTS = 6_000
FAULTS = "duplicates=0.02,late=0.05,refund_first=0.3,poison=0.005,conflicts=0.2"

CHANGES = {
    ("users", "lifetime_messages"): "lifetime_messages = lifetime_messages + 1",
    ("users", "username"): "username = 'somebody'",
    ("users", "current_tier"): "current_tier = CASE current_tier WHEN 'vip' THEN 'new' ELSE 'vip' END",
    ("user_field_times", "username_at"): "username_at = '2020-01-01'",
    ("payment_analytics", "refunded_cents"): "refunded_cents = refunded_cents + 1",
    ("payment_refunds", "reason"): "reason = 'made up'",
    ("payment_disputes", "outcome"): "outcome = CASE outcome WHEN 'won' THEN 'lost' ELSE 'won' END",
    ("auto_recharge_triggers", "credits"): "credits = coalesce(credits, 0) + 1",
    ("user_sessions", "messages_in_session"): "messages_in_session = messages_in_session + 1",
    ("user_days", "messages_sent"): "messages_sent = messages_sent + 1",
    ("tier_history", "spent_cents"): "spent_cents = spent_cents + 1",
    ("daily_metrics", "active_users"): "active_users = active_users + 1",
    ("content_items", "views"): "views = views + 1",
    ("message_patterns", "messages"): "messages = messages + 1",
    ("hourly_metrics", "messages_sent"): "messages_sent = messages_sent + 1",
    ("user_message_counts", "kind_text"): "kind_text = kind_text + 1",
}
"""By table and column: how a row of it is falsified; each in a row of its own."""
ROWS = {
    ("users", "lifetime_messages"): "lifetime_messages > 0",
    ("users", "username"): "username IS NOT NULL",
    ("users", "current_tier"): "tier_changed_at IS NOT NULL",
    ("payment_analytics", "refunded_cents"): "payment_status = 'succeeded'",
    ("payment_disputes", "outcome"): "outcome IS NOT NULL",
}
"""Which rows those can be, so that there is an event behind them."""


@asynccontextmanager
async def connected(installation: Installation) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(installation.database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def verified(installation: Installation, **options: Any) -> Outcome:
    servers = BrokerAddress(installation.stack.bootstrap_servers)
    return await verify(installation.database_url, servers, installation.topics, **options)


@pytest.fixture
async def settled(installation: Installation) -> Installation:
    """A simulation with faults, applied by both services; verified now and then while they worked."""
    with ExitStack() as running:
        services = [installation.start(name, running) for name in ("streams", "projections")]
        simulating = asyncio.create_task(
            installation.botpulse("simulate", f"--events={EVENTS}", "--users=120", "--seed=11", "--rate=600",
                                  "--days=60", f"--faults={FAULTS}", f"--expect={installation.folder / 'books.json'}")
        )  # fmt: skip
        amid = 0
        while not simulating.done():
            outcome = await verified(installation)
            assert outcome.differences.kept == []
            amid += 0 < outcome.records < EVENTS
        await simulating
        assert amid, "verified while the tables moved"
        await _tell_the_rare(installation)
        await installation.botpulse("wait", "--timeout=120")
        assert [service.terminate() for service in services] == [0, 0]
    return installation


async def _tell_the_rare(installation: Installation) -> None:
    """One fact for each table that so short a story may leave empty."""
    facts: dict[str, dict[str, Any]] = {
        "auto_recharge.triggered": {"trigger_id": "rare", "amount_cents": 500},
        "payment.dispute_opened": {
            "charge_id": "none",
            "provider": "stripe",
            "dispute_id": "rare",
            "amount_cents": 500,
        },
        "subscription.started": {"subscription_id": "rare"},
    }
    books = json.loads((installation.folder / "books.json").read_text())["users"]
    await log.publish(
        installation.stack.bootstrap_servers,
        installation.topics,
        [
            {"specversion": "1.0", "id": fact, "source": "/rare", "type": f"botpulse.{fact}.v1", "subject": min(books),
             "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "data": data}
            for fact, data in facts.items()
        ],
    )  # fmt: skip


async def test_numbers_are_explained_verified_and_what_is_falsified_is_named(settled: Installation) -> None:
    """One simulation serves all of it: making it takes longer than the rest."""
    await _explanations_end_at_the_books_and_the_tables(settled)
    await _an_export_verifies_as_the_broker_does(settled)
    await _what_is_removed_in_time_is_no_difference(settled)
    await _part_of_the_users_and_the_aggregates_of_streams(settled)
    await _a_record_told_twice_in_the_trail_is_named(settled)
    await _falsified_rows_are_named_with_their_events(settled)


async def _explanations_end_at_the_books_and_the_tables(settled: Installation) -> None:
    books = json.loads((settled.folder / "books.json").read_text())["users"]
    records: dict[bytes, list[Any]] = defaultdict(list)
    for record in await log.read_all(settled.stack.bootstrap_servers, settled.topics.events.name):
        records[record.key].append(record)
    decoder = Decoder(TEST_PARTITIONS)
    async with connected(settled) as connection:
        rows = {row["telegram_id"]: row for row in await connection.fetch("SELECT * FROM botpulse.users")}
    assert len(books) == 120
    others = [row for user, row in rows.items() if str(user) not in books]  # admins, and referrers never seen
    assert all(row["lifetime_messages"] == row["purchase_count"] == row["message_credits"] == 0 for row in others)
    moved, seen = 0, set()
    for user, book in books.items():
        steps = steps_of(records[user.encode()], History(decoder.decode_plain))
        for earlier, later in pairwise(steps):
            assert later.before == earlier.after
        cents = sum(step.after.spent_cents - step.before.spent_cents for step in steps)
        bought = sum(step.after.purchases - step.before.purchases for step in steps)
        given = sum(step.after.credits - step.before.credits for step in steps)
        assert (cents, bought, given) == (book["spent_cents"], book["purchases"], book["credits"]), user
        row = rows[int(user)]
        assert (cents, bought, given) == (
            row["total_spent_cents"], row["purchase_count"], row["message_credits"]
        )  # fmt: skip
        changes = [step for step in steps if step.moved_tier]
        assert (steps[-1].after.tier if steps else "new") == book["tier"] == row["current_tier"]
        if changes:
            moved += 1
            assert row["tier_changed_at"] == broker_time(changes[-1].entry.record.timestamp)
        for step in steps:
            seen.add(step.entry.verdict)
            if step.entry.verdict is not Verdict.COUNTED:
                assert step.before == step.after
                assert step.entry.why_not
    assert moved > 10
    assert {Verdict.COUNTED, Verdict.DUPLICATE, Verdict.CONFLICT} <= seen

    richest = max(books, key=lambda user: books[user]["spent_cents"])
    whole = json.loads(await settled.botpulse("explain", richest, "--spend", "--json"))
    assert whole["agree"]
    assert whole["stored"] == whole["totals"]
    last = whole["steps"][-1]["after"]
    assert [whole["totals"][name] - last[name] for name in ("purchases", "spent_cents")] == [0, 0]
    assert sum(step["cents"] for step in whole["steps"]) == books[richest]["spent_cents"]
    middle = whole["steps"][len(whole["steps"]) // 2]
    earlier_steps = [s for s in whole["steps"] if s["broker_time"] <= middle["broker_time"]]
    then = json.loads(
        await settled.botpulse("explain", richest, "--spend", f"--as-of={middle['broker_time']}", "--json")
    )
    assert then["steps"] == earlier_steps
    assert then["totals"]["spent_cents"] == earlier_steps[-1]["after"]["spent_cents"]
    assert "the tables say the same" in await settled.botpulse("explain", richest)
    assert "time" in await settled.botpulse("explain", richest, "--as-of=yesterday", status=2)
    await settled.botpulse("explain", "4503599627370496", status=1)


async def _an_export_verifies_as_the_broker_does(settled: Installation) -> None:
    folder = settled.folder / "export"
    written = json.loads(await settled.botpulse("export", str(folder), "--with-today", "--json"))
    events = [day for day in written["written"] if day["topic"] == settled.topics.events.name]
    broker = json.loads(await settled.botpulse("verify", "--json"))
    export = json.loads(await settled.botpulse("verify", "--json", f"--from-export={folder}", "--offline"))
    assert sum(day["records"] for day in events) == broker["records"]
    for content in (broker, export):
        del content["seconds"], content["aggregates"]
    assert export == broker

    assert "are whole" in await settled.botpulse("export", "verify", str(folder))
    damaged = sorted((folder / settled.topics.events.name).glob("*/2.ndjson.zst"))[0]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert str(damaged) in await settled.botpulse("export", "verify", str(folder), status=1)
    assert str(damaged) in await settled.botpulse("verify", f"--from-export={folder}", "--offline", status=2)


async def _what_is_removed_in_time_is_no_difference(settled: Installation) -> None:
    before = await verified(settled)
    for table in ("user_sessions", "hourly_metrics"):
        await settled.value("SELECT botpulse.set_maintenance_setting($1, '31')", f"{table}_keep_days")
    assert await settled.value("SELECT sum(removed_rows) FROM botpulse.cleanup_old_data()") > 0
    after = await verified(settled)
    assert after.differences.kept == []
    assert after.rows["user_sessions"] < before.rows["user_sessions"]
    assert after.rows["hourly_metrics"] < before.rows["hourly_metrics"]


async def _a_record_told_twice_in_the_trail_is_named(settled: Installation) -> None:
    """Also where as many rows are there as should be, and where as many are there as are compared."""
    async with connected(settled) as connection:
        await connection.execute("SET search_path = botpulse")
        await connection.execute("CREATE TEMP TABLE kept AS TABLE audit_log")
        user, topic, partition, offsets = await connection.fetchrow(
            "SELECT telegram_id, topic, log_partition, array_agg(log_offset ORDER BY log_offset) FROM audit_log "
            "WHERE topic = $1 GROUP BY 1, 2, 3 HAVING count(*) > 1 ORDER BY 1 LIMIT 1",
            settled.topics.events.name,
        )
        told, overwritten = offsets[:2]
        of_told = "FROM audit_log WHERE (topic, log_partition, log_offset) = ($1, $2, $3)"
        said = "occurred_at, kind, telegram_id, source, event_id, outcome, before, after"
        key = {"topic": topic, "log_partition": partition, "log_offset": told}

        await connection.execute(
            f"INSERT INTO audit_log (topic, log_partition, seq, log_offset, format, hash, {said}) "
            f"SELECT topic, log_partition, seq + 1000000, log_offset, format, hash, {said} {of_told}",
            *key.values(),
        )
        for selection in (Selection(), Selection(user=user)):
            (difference,) = (await verified(settled, selection=selection)).differences.kept
            assert difference[:5] == ("audit_log", key, "rows", 2, 1)
            assert [event.offset for event in difference.events] == [told]
        await connection.execute("DELETE FROM audit_log WHERE seq > 1000000")

        await connection.execute(
            f"UPDATE audit_log SET (log_offset, {said}) = (SELECT log_offset, {said} {of_told}) "  # noqa: S608
            "WHERE (topic, log_partition, log_offset) = ($1, $2, $4)",
            *key.values(),
            overwritten,
        )
        found = (await verified(settled, selection=Selection(user=user))).differences.kept
        assert [difference[:5] for difference in found] == [
            ("audit_log", {**key, "log_offset": overwritten}, None, "no row", "a row"),
            ("audit_log", key, "rows", 2, 1),
        ]
        await connection.execute("DELETE FROM audit_log; INSERT INTO audit_log TABLE kept")
    assert (await verified(settled, selection=Selection(user=user))).differences.total == 0


async def _falsified_rows_are_named_with_their_events(settled: Installation) -> None:
    clean = json.loads(await settled.botpulse("verify", "--json", "--workers=2"))
    assert clean["agree"]
    assert clean["differences"] == []
    assert clean["users"] >= 120
    assert clean["aggregates"] == {"compared": clean["users"], "elsewhere": 0}
    assert {"counted", "duplicate", "conflict", "invalid"} == clean["verdicts"].keys()
    assert [table for table in (*KEYS, "audit_log") if not clean["rows"][table]] == []

    falsified: dict[tuple[str, str], dict[str, Any]] = {}
    async with connected(settled) as connection:
        await connection.execute("SET search_path = botpulse")
        for (table, column), change in CHANGES.items():
            keys = ", ".join(KEYS[table])
            number = sum(place[0] == table for place in falsified)
            row = await connection.fetchrow(
                f"UPDATE {table} SET {change} WHERE ({keys}) = (SELECT {keys} FROM {table} "  # noqa: S608
                f"WHERE {ROWS.get((table, column), 'true')} ORDER BY {keys} OFFSET {number} LIMIT 1) RETURNING {keys}"
            )
            falsified[table, column] = dict(row)
        gone = await connection.fetchrow(
            "DELETE FROM user_sessions WHERE (telegram_id, session_start) = (SELECT telegram_id, session_start "
            "FROM user_sessions ORDER BY session_start DESC LIMIT 1) RETURNING telegram_id, session_start"
        )
        await connection.execute("INSERT INTO users (telegram_id) VALUES (987654321)")
        trail = "SELECT * FROM audit_log WHERE kind = 'payment.refunded' ORDER BY topic, log_partition, seq"
        refunds = await connection.fetch(trail)
        place = "topic = $1 AND log_partition = $2 AND log_offset = $3"
        of = [tuple(row[name] for name in ("topic", "log_partition", "log_offset")) for row in refunds]
        other = "CASE outcome WHEN 'applied' THEN 'conflict' ELSE 'applied' END"
        await connection.execute(f"UPDATE audit_log SET outcome = {other} WHERE {place}", *of[0])  # noqa: S608
        await connection.execute(f"DELETE FROM audit_log WHERE {place}", *of[1])  # noqa: S608
        await connection.execute("UPDATE checkpoints SET events_applied = events_applied - 1 WHERE partition = 1")

    outcome = await verified(settled)
    found = {(d.table, d.column): d for d in outcome.differences.kept}
    assert outcome.differences.total == len(found), outcome.differences.kept
    for place, key in falsified.items():
        assert found[place].key == key
        assert found[place].events, place
    assert found.pop(("user_sessions", None)).key == dict(gone)
    assert found.pop(("users", None)).key == {"telegram_id": 987654321}
    checkpoints = {found.pop(("checkpoints", "events_applied")).key["topic"]}
    assert checkpoints == {settled.topics.events.name}
    trail = [found.pop(("audit_log", column)) for column in ("outcome", None)]
    assert [tuple(difference.key.values()) for difference in trail] == of[:2]
    assert [difference.events[0].what.split()[0] for difference in trail] == ["payment.refunded"] * 2
    assert found.keys() == falsified.keys()

    text = await settled.botpulse("verify", status=1)
    assert f"{len(falsified) + 5} differences" in text
    assert "somebody" not in text, "personal data is shown only where it is asked for"
    assert "somebody" in await settled.botpulse("verify", "--show-personal", status=1)


async def _progress_for_one_user_reaches_its_end(settled: Installation, user: int) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    assert await settled.value("SELECT count(*) FROM botpulse.dead_letters") > 0
    await verified(settled, selection=Selection(user=user), progress=progress)
    done, total = told[-1]
    assert done == total > 0

    servers = BrokerAddress(settled.stack.bootstrap_servers)
    for somebody in (user, 4503599627370496):
        told.clear()
        await explain(settled.database_url, servers, settled.topics, somebody, "spend", progress=progress)
        done, total = told[-1]
        assert done == total > 0


async def _part_of_the_users_and_the_aggregates_of_streams(settled: Installation) -> None:
    everybody = await settled.value("SELECT array_agg(telegram_id ORDER BY telegram_id) FROM botpulse.users")
    some = [await verified(settled, selection=Selection(share=0.2)) for _ in range(2)]
    assert 0 < some[0].users == some[1].users < len(everybody) / 2
    await _progress_for_one_user_reaches_its_end(settled, everybody[0])
    user = everybody[0]
    await settled.value("UPDATE botpulse.users SET message_credits = message_credits + 1 WHERE telegram_id = $1", user)
    assert (await verified(settled, selection=Selection(user=everybody[1]))).differences.total == 0
    (difference,) = (await verified(settled, selection=Selection(user=user))).differences.kept
    assert (difference.table, difference.column) == ("users", "message_credits")
    assert difference.stored == difference.folded + 1
    told = await settled.botpulse("explain", str(user), "--credits", status=1)
    assert f"verify --user {user}" in told
    await settled.value("UPDATE botpulse.users SET message_credits = message_credits - 1 WHERE telegram_id = $1", user)

    aggregate = (await log.aggregates(settled.stack.bootstrap_servers, settled.topics))[str(everybody[2])]
    aggregate["spent_cents"] += 7
    async with AIOKafkaProducer(bootstrap_servers=settled.stack.bootstrap_servers, acks="all") as producer:
        key, value = str(everybody[2]).encode(), json.dumps(aggregate).encode()
        await producer.send_and_wait(settled.topics.user_aggregates.name, value, key)
    (difference,) = (await verified(settled, selection=Selection(user=everybody[2]))).differences.kept
    assert (difference.table, difference.column) == ("user-aggregates", "spent_cents")
    aggregate["spent_cents"] -= 7
    async with AIOKafkaProducer(bootstrap_servers=settled.stack.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(settled.topics.user_aggregates.name, json.dumps(aggregate).encode(), key)
