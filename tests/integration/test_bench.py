"""`botpulse bench` with few events: everything is counted, nothing is left behind. No time is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support import log
from tests.support.cli import botpulse, program
from tests.support.stack import open_folder

EVENTS = 2_000


@pytest.fixture
def settings() -> object:
    with open_folder() as folder:
        yield {"BOTPULSE_HOME": str(folder)}
        assert not (folder / "bench").exists()


async def test_the_streams_are_measured_on_all_events(settings: dict[str, str]) -> None:
    arguments = ("--events", str(EVENTS), "--users", "100", "--workers", "1", "--stock-events", "500", "--json")
    ran = await botpulse(settings, "bench", "streams", *arguments)
    assert ran.status == 0, ran.err
    cases = {case["state"]: case for case in ran.json["cases"]}
    assert {state: case["events"] for state, case in cases.items()} == {"stock": 500, "none": EVENTS, "full": EVENTS}
    for case in cases.values():
        (run,) = case["runs"]
        assert run["events_measured"] > 0
        assert run["cpu_seconds"] > 0
    assert cases["full"]["runs"][0]["events_measured"] <= EVENTS
    assert 50 < cases["full"]["users"] <= 200


async def test_the_streams_are_measured_with_users_who_have_a_past(settings: dict[str, str]) -> None:
    ran = await botpulse(settings, "bench", "streams", "--known", "--events", str(EVENTS), "--users", "500", "--json")
    assert ran.status == 0, ran.err
    (case,) = ran.json["cases"]
    assert (case["state"], case["users"], case["events"]) == ("known", 500, EVENTS)
    assert 0 < case["runs"][0]["events_measured"] <= EVENTS


async def test_the_projections_are_measured_on_all_events(settings: dict[str, str]) -> None:
    arguments = ("--events", str(EVENTS), "--users", "200", "--row-events", "300", "--json")
    ran = await botpulse(settings, "bench", "projections", *arguments)
    assert ran.status == 0, ran.err
    kinds = {kind["kind"]: kind["runs"][0]["rate"] for kind in ran.json["kinds"]}
    assert set(kinds) == {"projections", "each", "batch", "copy"}
    assert kinds["copy"]["events"] == EVENTS
    assert 0 < kinds["each"]["events"] <= kinds["projections"]["events"]


async def test_replays_are_measured_and_agree(settings: dict[str, str]) -> None:
    arguments = ("--events", str(EVENTS), "--users", "200", "--workers", "2", "--json")
    ran = await botpulse(settings, "bench", "replay", *arguments)
    assert ran.status == 0, ran.err
    assert [run["workers"] for (run,) in ran.json["runs"]] == [0, 2]
    assert ran.json["runs"][1][0]["rate"]["events"] >= EVENTS
    (others,) = ran.json["rounds"]
    assert others["swap"]["answers"] > 0
    assert (others["swap"]["empty"], others["swap"]["errors"]) == (0, [])
    assert others["verify"]["events"] >= EVENTS
    assert 0 < others["user_records"] < EVENTS


async def test_every_question_of_the_guide_is_asked_and_answered_alike(settings: dict[str, str]) -> None:
    arguments = ("--users", "1000", "--events", "20000", "--repeat", "2", "--naive-repeat", "1", "--json")
    ran = await botpulse(settings, "bench", "queries", *arguments)
    assert ran.status == 0, ran.err
    questions = {question["name"]: question for question in ran.json["questions"]}
    assert len(questions) == 18
    assert {name: question["rows"] for name, question in questions.items() if question["rows"] == 0} == {}
    assert questions["top_users"]["rows"] == 20
    for question in questions.values():
        assert (len(question["milliseconds"]), len(question["naive_milliseconds"])) == (2, 1)


async def test_what_publishing_costs_is_measured_on_a_log_of_its_own(
    settings: dict[str, str], stack: StackInfo, topics: Topics
) -> None:
    """Its events are of nobody: they must not come onto the log that the environment names."""
    named = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "BOTPULSE_TOPIC_PREFIX": topics.prefix}
    asked = await program(named, "deploy.bench.publisher", "--help")
    assert (asked.status, asked.err) == (0, "")
    assert "--rounds" in asked.out
    ran = await program({**settings, **named}, "deploy.bench.publisher", "--rounds", "1")
    assert ran.status == 0, ran.err
    assert [line.split()[:2] for line in ran.out.splitlines()] == [
        [place, str(at_once)] for place in ("log", "spool") for at_once in (1, 10, 100, 1000)
    ]
    assert await log.read_all(stack.bootstrap_servers, topics.events.name) == []


async def test_what_a_user_does_wrong_is_one_line(tmp_path: Path) -> None:
    for arguments, names in (
        (("streams", "--state", "half"), "--state"),
        (("recovery", "--into", str(tmp_path / "none.md")), "none.md"),
    ):
        ran = await botpulse({"BOTPULSE_HOME": str(tmp_path)}, "bench", *arguments)
        assert (ran.status, ran.out) == (2, ""), ran
        assert len(ran.err.splitlines()) == 1
        assert names in ran.err
