"""`botpulse rebuild` on a real log beside real live workers."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator

import asyncpg
import psutil
import pytest

from deploy.local import StackInfo
from deploy.simulate import Books
from schemas.topics import Topics
from tests.support.hammering import hammered
from tests.support.polling import until
from tests.support.projecting import grants
from tests.support.rebuilding import Rebuilding, rebuilding

CHANGED = "tests.support.changed_fold"
REFUSING = "tests.support.refusing_fold"


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Rebuilding]:
    async with rebuilding(stack, topics, database_url) as made:
        yield made


async def messages(work: Rebuilding, schema: str = "botpulse") -> int:
    (row,) = await work.query(f"SELECT sum(lifetime_messages)::int AS messages FROM {schema}.users")  # noqa: S608
    return int(row["messages"])


async def test_what_agrees_is_swapped_and_can_be_taken_back_while_the_live_worker_goes_on(work: Rebuilding) -> None:
    await work.simulate(5_000, seed=1)
    worker = work.live()
    await work.applied()
    before = await work.tables()

    out, _ = await work.rebuild("--json")
    told = json.loads(out)
    assert told["differences"] == []
    assert told["applied"] is True
    assert await work.schemas() == ["botpulse", "botpulse_previous"]
    assert await work.tables() == before

    await work.simulate(500, seed=2)
    await work.applied()
    after = await work.tables()
    assert after["users"] != before["users"]
    assert await work.tables("botpulse_previous") == before
    assert "other tables were put in place" in worker.said()

    await work.rebuild("--rollback")
    await work.applied()
    assert await work.tables() == after
    await work.simulate(100, seed=3)
    await work.applied()
    assert worker.process.poll() is None, worker.said()

    await work.rebuild("--drop-previous")
    assert await work.schemas() == ["botpulse"]
    _, err = await work.rebuild("--rollback", status=1)
    assert "no previous generation" in err
    out, _ = await work.rebuild("--dry-run")
    assert "agree with the live ones" in out


async def test_another_fold_is_shown_and_swapped_under_readers(work: Rebuilding) -> None:
    await work.simulate(4_000, seed=4)
    worker = work.live()
    await work.applied()
    old = await messages(work)

    out, _ = await work.rebuild("--dry-run", "--json", module=CHANGED, status=1)
    told = json.loads(out)
    assert {"users", "user_days", "daily_metrics"} <= {d["table"] for d in told["differences"]}
    (users,) = [d for d in told["differences"] if d["table"] == "users"]
    wrote = await work.query("SELECT * FROM users WHERE lifetime_messages > 0 ORDER BY telegram_id")
    assert users["changed"] == len(wrote)
    first = users["rows"][0]
    assert first["key"] == {"telegram_id": wrote[0]["telegram_id"]}
    assert first["columns"] == {"lifetime_messages": [wrote[0]["lifetime_messages"], 2 * wrote[0]["lifetime_messages"]]}
    assert await work.schemas() == ["botpulse"]

    out, _ = await work.rebuild(module=CHANGED, status=1)
    assert "nothing was changed" in out
    assert await messages(work) == old

    worker.close()
    async with hammered(work.database_url) as seen:
        await work.rebuild("--yes", module=CHANGED)
        for _ in range(2):
            out, _ = await work.rebuild("--rollback")
            assert "another --rollback exchanges them again" in out
    assert seen.errors == []
    for kind, *answer in seen.answers:
        assert kind == "_simple" or set(answer) in ({old}, {2 * old}), (kind, answer)
    both = {kind for kind, *answer in seen.answers if set(answer) == {old}} & {
        kind for kind, *answer in seen.answers if set(answer) == {2 * old}
    }
    assert both == {"_prepared", "_anew", "_dashboard", "_in_a_snapshot"}
    sys.stdout.write(f"longest answer during three swaps: {seen.longest * 1000:.0f} ms\n")

    # New code goes on where the rebuild has ended, and a rebuild by it finds nothing.
    assert await messages(work) == 2 * old
    work.live(CHANGED)
    await work.simulate(500, seed=5)
    await work.applied()
    await work.rebuild("--dry-run", module=CHANGED)


async def test_killed_rebuilds_leave_nothing_that_a_later_one_trips_over(work: Rebuilding) -> None:
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    rng = random.Random(seed)
    books = Books()
    worker = work.live()
    await work.simulate(6_000, seed=6, books=books)
    await work.applied()
    writing = asyncio.create_task(work.simulate(12_000, seed=7, rate=1_000.0, books=books))
    for _ in range(4):
        before = await work.position()
        process = await work.command("--yes")
        ending = asyncio.create_task(process.wait())
        await asyncio.wait([ending], timeout=rng.uniform(0.5, 4.0))
        children = psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await ending
        await until(lambda children=children: not any(c.is_running() for c in children), "the workers to end")

        async def moved(before: int = before) -> bool:
            return writing.done() or await work.position() > before

        await until(moved, "the live worker to go on")
    out, _ = await work.rebuild("--yes", "--json")
    await writing
    assert json.loads(out)["differences"] == []
    await work.applied()
    assert await work.differences_from(books) == []
    assert worker.process.poll() is None, worker.said()
    out, _ = await work.rebuild("--dry-run", "--json")
    assert json.loads(out)["differences"] == []
    assert "botpulse_next" not in await work.schemas()
    counted = await work.totals()
    assert counted["applied"] + counted["duplicates"] + counted["invalid"] + counted["refused"] == await work.position()


async def test_one_rebuild_at_a_time(work: Rebuilding) -> None:
    await work.simulate(2_000, seed=8)
    work.live()
    await work.applied()
    first = await work.command("--dry-run")

    async def begun() -> bool:
        return "botpulse_next" in await work.schemas()

    await until(begun, "the first rebuild to begin")
    first.send_signal(signal.SIGSTOP)
    try:
        for command in ((), ("--rollback",), ("--drop-previous",)):
            _, err = await work.rebuild(*command, status=1)
            assert "a rebuild is running already" in err
            assert f"/{first.pid} " in err
    finally:
        first.send_signal(signal.SIGCONT)
    assert await first.wait() == 0


async def test_a_copied_database_without_its_rights_is_named(
    stack: StackInfo, topics: Topics, database_url: str
) -> None:
    work = Rebuilding(stack.bootstrap_servers, topics, database_url)
    _, err = await work.rebuild("--dry-run", status=2)
    assert "permission denied for database" in err
    assert "botpulse migrate" in err


async def test_who_is_in_the_way_of_the_swap_is_named_and_waited_for(work: Rebuilding) -> None:
    await work.simulate(1_000, seed=9)
    work.live()
    await work.applied()
    reader = await asyncpg.connect(
        work.database_url, server_settings={"search_path": "botpulse", "application_name": "monthly-report"}
    )
    pid = reader.get_server_pid()
    # A snapshot from before the build, of a transaction that has touched none of the tables.
    snapshot = reader.transaction(isolation="repeatable_read")
    await snapshot.start()
    await reader.execute("SELECT 1")
    _, err = await work.rebuild("--wait", "0.5", status=1)
    assert f"database process {pid} (monthly-report" in err
    await snapshot.rollback()
    # A lock on a table of the live generation, without any snapshot.
    lock = reader.transaction()
    await lock.start()
    await reader.execute("SELECT count(*) FROM users")
    _, err = await work.rebuild("--wait", "0.5", status=1)
    assert f"database process {pid} (monthly-report" in err
    assert await work.schemas() == ["botpulse"]
    patient = await work.command("--wait", "60")

    async def waits() -> bool:
        line = await patient.stderr.readline() if patient.stderr else b""
        return b"the swap waits for" in line

    await until(waits, "the swap to wait")
    await lock.rollback()
    assert await patient.wait() == 0
    await reader.close()
    assert await work.schemas() == ["botpulse", "botpulse_previous"]


async def test_what_was_decided_about_refused_events_stands_and_no_letter_is_sent(work: Rebuilding) -> None:
    await work.send(grants(range(1, 11), range(5)))
    worker = work.live(REFUSING)
    await work.applied()
    assert len(await work.letters()) == 1
    await work.execute(
        "UPDATE refused_events SET state = 'accepted', decided_by = 'anna', decided_at = now(), note = 'a test'"
    )
    decided = await work.query("SELECT * FROM refused_events")

    await work.rebuild(module=REFUSING)
    assert await work.query("SELECT * FROM refused_events") == decided

    # Other code accepts the event: it is no refused one any more, and one again in the tables of before.
    worker.close()
    _, err = await work.rebuild("--yes")
    assert await work.query("SELECT * FROM refused_events") == [], err
    (row,) = await work.query("SELECT message_credits FROM users WHERE telegram_id = 7")
    assert row["message_credits"] == 5
    await work.rebuild("--rollback")
    assert await work.query("SELECT * FROM refused_events") == decided
    (row,) = await work.query("SELECT message_credits FROM users WHERE telegram_id = 7")
    assert row["message_credits"] == 4
    assert len(await work.letters()) == 1


async def test_one_users_or_one_projections_rows_are_corrected(work: Rebuilding) -> None:
    await work.simulate(3_000, seed=10)
    work.live()
    await work.applied()
    before = await work.tables()
    busiest = await work.query("SELECT telegram_id FROM user_days GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2")
    mine, other = (row["telegram_id"] for row in busiest)
    for user in (mine, other):
        await work.execute(f"UPDATE users SET lifetime_messages = 0 WHERE telegram_id = {user}")  # noqa: S608
    await work.execute(
        f"DELETE FROM user_days WHERE telegram_id = {mine} AND date = (SELECT min(date) FROM user_days"  # noqa: S608
        f" WHERE telegram_id = {mine})"
    )
    await work.query(
        "INSERT INTO user_sessions (telegram_id, session_start, session_end, messages_in_session, credits_spent,"
        " purchases_in_session) VALUES ($1, '2020-01-01Z', '2020-01-01Z', 1, 0, 0)",
        mine,
    )
    await work.execute("UPDATE daily_metrics SET revenue_cents = revenue_cents + 100000")
    edited = await work.query("SELECT count(*) FROM direct_edits")
    spoiled = await work.tables()

    out, _ = await work.rebuild("--user", str(mine), "--dry-run", "--json", status=1)
    found = {d["table"]: (d["gone"], d["new"], d["changed"]) for d in json.loads(out)["differences"]}
    assert found == {"users": (0, 0, 1), "user_days": (0, 1, 0), "user_sessions": (1, 0, 0)}
    assert await work.tables() == spoiled

    await work.rebuild("--user", str(mine), "--yes")
    after = await work.tables()
    assert after["user_days"] == before["user_days"]
    assert after["user_sessions"] == before["user_sessions"]
    assert {row for row in after["users"] if row not in before["users"]} == {
        row for row in spoiled["users"] if row[0] == other
    }
    await work.rebuild("--projection", "users", "--yes")
    assert (await work.tables())["users"] == before["users"]
    assert (await work.tables())["daily_metrics"] == spoiled["daily_metrics"]
    await work.rebuild("--projection", "daily_metrics", "--yes")
    assert await work.tables() == before
    # None of these was an edit by hand.
    assert await work.query("SELECT count(*) FROM direct_edits") == edited
    _, err = await work.rebuild("--projection", "nothing", status=2)
    assert "there is no projection 'nothing'" in err

    await work.simulate(200, seed=11)
    await work.applied()
    await work.rebuild("--dry-run")


async def test_the_audit_trail_is_compared_and_stays(work: Rebuilding) -> None:
    await work.simulate(1_000, seed=8)
    work.live()
    await work.applied()
    trail = "SELECT * FROM audit_log ORDER BY topic, log_partition, seq"
    rows = await work.query(trail)
    assert len(rows) > 100
    await work.rebuild("--dry-run")

    await work.query("UPDATE audit_log SET hash = sha256('x') WHERE (topic, log_partition, seq) = ($1, $2, $3)",
                     rows[7]["topic"], rows[7]["log_partition"], rows[7]["seq"])  # fmt: skip
    tampered = await work.query(trail)
    out, _ = await work.rebuild("--json", status=1)
    (difference,) = json.loads(out)["differences"]
    assert (difference["table"], difference["changed"]) == ("audit_log", 1)
    assert difference["rows"][0]["key"]["seq"] == rows[7]["seq"]
    await work.rebuild("--yes")
    assert await work.schemas() == ["botpulse", "botpulse_previous"]
    assert await work.query(trail) == tampered
    await work.simulate(100, seed=9)
    await work.applied()
    assert len(await work.query(trail)) > len(rows)
