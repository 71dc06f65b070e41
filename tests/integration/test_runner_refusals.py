"""A row that the database refuses: isolated, kept as a dead letter, and the partition goes on."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from deploy.local import StackInfo
from projections.batch import Applied, Arrival, DeadLetter
from schemas.errors import ServiceStopped
from schemas.records import REDRIVE_HEADER
from schemas.topics import Topics
from tests.support import counting
from tests.support.cli import botpulse
from tests.support.counting import BAD_CREDITS
from tests.support.polling import until
from tests.support.projecting import Bench, bench, grant, grants


@pytest.fixture
async def work(stack: StackInfo, topics: Topics, database_url: str) -> AsyncIterator[Bench]:
    async with bench(stack.bootstrap_servers, topics, database_url) as made:
        yield made


async def test_a_bad_row_becomes_a_letter_and_the_rest_is_applied(work: Bench) -> None:
    bad = grant(7, 100, worth=BAD_CREDITS)
    await work.send([*grants(range(1, 11), range(10)), bad, *grants(range(1, 11), range(10, 20))])
    async with work.running():
        await work.caught_up()
        await until(lambda: any("refused" in problem for problem in work.health.problems()), "red readiness")
    assert await work.counted() == dict.fromkeys(range(1, 11), 20)
    totals = await work.totals()
    assert (totals["applied"], totals["refused"]) == (200, 1)

    (refused,) = await work.query("SELECT * FROM refused_events")
    assert (refused["reason"], refused["state"]) == ("database", "open")
    assert "not_bad" in refused["detail"]
    assert str(BAD_CREDITS) not in refused["detail"]
    (letter,) = await work.letters()
    headers = dict(letter.headers)
    assert headers["dl-stage"] == b"projections"
    assert headers["dl-reason"] == b"database"
    assert (int(headers["dl-partition"]), int(headers["dl-offset"])) == (refused["partition"], refused["log_offset"])
    assert letter.key == b"7"


async def test_several_bad_rows_are_told_apart(work: Bench) -> None:
    bad = [grant(user, 100, worth=BAD_CREDITS) for user in (1, 5, 5, 9)]  # the second of user 5 is a duplicate
    good = grants(range(1, 11), range(10))
    await work.send(good[:30] + bad[:2] + good[30:60] + bad[2:] + good[60:])
    async with work.running():
        await work.caught_up()
    assert await work.counted() == dict.fromkeys(range(1, 11), 10)
    totals = await work.totals()
    assert (totals["applied"], totals["refused"], totals["duplicates"]) == (100, 3, 1)
    assert len(await work.letters()) == 3


async def test_a_redriven_copy_is_applied_once_and_readiness_is_green_again(work: Bench) -> None:
    bad = grant(1, 1, worth=BAD_CREDITS)
    await work.send([bad])
    async with work.running():
        await work.caught_up()
        (refused,) = await work.query("SELECT * FROM refused_events")
        await work.query("ALTER TABLE granted DROP CONSTRAINT not_bad")
        original = f"{refused['topic']}/{refused['partition']}/{refused['log_offset']}".encode()
        await work.send([bad], headers=[(REDRIVE_HEADER, original)])
        await work.send([bad], headers=[(REDRIVE_HEADER, original)])
        await work.caught_up()
        await until(lambda: not work.health.problems(), "readiness")
    assert await work.counted() == {1: 1}
    (refused,) = await work.query("SELECT * FROM refused_events")
    assert refused["state"] == "redriven"
    totals = await work.totals()
    assert (totals["applied"], totals["duplicates"]) == (1, 1)


async def test_an_accepted_refusal_makes_readiness_green_again_and_the_decision_stands(work: Bench) -> None:
    await work.send([grant(1, 1, worth=BAD_CREDITS), grant(1, 2, worth=BAD_CREDITS), grant(1, 3)])
    async with work.running():
        await work.caught_up()
        first, second = await work.query("SELECT * FROM refused_events ORDER BY log_offset")
        records = [f"{row['topic']}/{row['partition']}/{row['log_offset']}" for row in (first, second)]
        ran = await botpulse(work.environment, "dead-letters", "accept", records[0], "--note", "a test", "--by", "Ada")
        assert ran.status == 0, ran.err
        await until(lambda: any("1 event refused" in problem for problem in work.health.problems()), "one is left")
        ran = await botpulse(work.environment, "dead-letters", "accept", records[1], "--note", "so be it", "--json")
        assert (ran.status, ran.json["state"], ran.json["note"]) == (0, "accepted", "so be it"), ran.err
        await until(lambda: not work.health.problems(), "readiness")
    first, second = await work.query("SELECT * FROM refused_events ORDER BY log_offset")
    assert (first["state"], first["decided_by"], first["note"]) == ("accepted", "Ada", "a test")
    assert second["decided_by"] == getpass.getuser()
    assert first["decided_at"] <= second["decided_at"]
    assert await work.counted() == {1: 1}

    for record, said in (
        (records[0], "accepted already, by Ada"),
        (f"{first['topic']}/{first['partition']}/4711", "refused no event"),
        ("nonsense", "topic/partition/offset"),
    ):
        ran = await botpulse(work.environment, "dead-letters", "accept", record, "--note", "again", "--by", "Bob")
        assert (ran.status, said in ran.err) == (2, True), ran
    none = f"{first['topic']}/{first['partition']}/4711"
    for words, said in (
        (("show", none), f"no letter is about {none}"),
        (("redrive", none), "no letter of the selection is about it"),
        (("list", "--topic", "foo"), f"--topic foo: the topics are {first['topic']}, "),
        (("redrive", "--topic", "foo"), f"--topic foo: the topics are {first['topic']}, "),
    ):
        ran = await botpulse(work.environment, "dead-letters", *words)
        assert (ran.status, ran.out, said in ran.err) == (2, "", True), ran
    assert (await work.query("SELECT * FROM refused_events ORDER BY log_offset"))[0] == first

    # Somebody changes their mind: the copy is in the tables, and what was decided once stays on record.
    await work.query("ALTER TABLE granted DROP CONSTRAINT not_bad")
    async with work.running():
        await work.send([grant(1, 1, worth=BAD_CREDITS)], headers=[(REDRIVE_HEADER, records[0].encode())])
        await work.caught_up()
    (first, _) = await work.query("SELECT * FROM refused_events ORDER BY log_offset")
    assert (first["state"], first["decided_by"]) == ("redriven", "Ada")
    assert await work.counted() == {1: 2}


async def test_a_kill_between_the_letter_and_the_commit_sends_the_same_letter_again(work: Bench) -> None:
    await work.send([*grants([1], range(5)), grant(1, 9, worth=BAD_CREDITS)])
    worker = work.start(BOTPULSE_CRASH_POINT="before_commit")
    await worker.ended()
    work.start()
    await work.caught_up()
    letters = await work.letters()
    places = {(dict(letter.headers)["dl-partition"], dict(letter.headers)["dl-offset"]) for letter in letters}
    assert (len(letters), len(places)) == (2, 1)
    assert await work.counted() == {1: 5}
    assert len(await work.query("SELECT * FROM refused_events")) == 1


async def test_a_value_that_the_column_cannot_hold_is_a_bad_row_too(work: Bench) -> None:
    async def apply(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Applied:
        for arrival in arrivals:
            if isinstance(arrival.event, DeadLetter):
                continue
            if arrival.event.id == "1-3":
                await connection.execute("SELECT $1::smallint", 70_000)  # refused by asyncpg itself
            if isinstance(arrival.event, DeadLetter):
                continue
            if arrival.event.id == "1-5":
                await connection.execute("SELECT 1 / 0")
        return await counting.apply(connection, arrivals)

    await work.send(grants([1], range(8)))
    async with work.running(apply):
        await work.caught_up()
    assert await work.counted() == {1: 6}
    assert len(await work.letters()) == 2


async def test_a_batch_that_is_refused_everywhere_stops_the_worker(work: Bench) -> None:
    await work.send([grant(1, number, worth=BAD_CREDITS) for number in range(300)])
    with pytest.raises(ServiceStopped, match="not a bad row"):
        async with work.running() as running:
            await until(lambda: running.ended, "the worker to give up")
    assert await work.letters() == []
    assert await work.query("SELECT * FROM refused_events") == []


async def test_a_defect_stops_the_worker_with_one_line_and_nothing_acknowledged(work: Bench) -> None:
    await work.query("DROP TABLE granted")
    await work.send(grants([1], range(8)))
    worker = work.start()
    assert await worker.ended() == 1
    assert "UndefinedTableError" in worker.last_line()
    assert await work.counted() == {}
    assert (await work.totals())["applied"] == 0
