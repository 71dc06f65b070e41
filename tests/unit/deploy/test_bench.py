"""The benchmarks' pure parts: what is measured, from which look to which, and how it is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.bench import history, logs, projections_report, queries, streams_report, watching
from deploy.bench.cases import Case, plan, plan_known
from deploy.bench.counter import Counter
from deploy.bench.events import message, payment
from deploy.bench.measuring import Look, Rate, furthest, gauges, middle, percentile, rate
from deploy.bench.projections import Result as ProjectionsResult
from deploy.bench.streams import Result, Run
from deploy.bench.tables import WITH_START, Table, put_into
from schemas.codec import Decoder
from schemas.errors import ConfigurationError
from schemas.partitioner import partition_of
from schemas.records import CONTENT_TYPE_HEADER
from streams import aggregate

END = datetime(2026, 3, 1, tzinfo=UTC)
PARTITIONS = 8


def decoded(key: bytes, value: bytes) -> object:
    """By the contract's own rule."""
    record = SimpleNamespace(
        topic="bot.events",
        partition=partition_of(key, PARTITIONS),
        offset=0,
        timestamp=int(datetime.now(UTC).timestamp() * 1000),
        key=key,
        value=value,
        headers=(CONTENT_TYPE_HEADER,),
    )
    return Decoder(PARTITIONS).decode(record)


def test_a_rate_begins_when_everyone_is_at_work_and_ends_with_the_last_event() -> None:
    looks = [
        Look(at=10.0, done=100, cpu=3.0, everyone=False),
        Look(at=11.0, done=300, cpu=4.0, server_cpu=1.0),
        Look(at=12.0, done=900, cpu=5.0),
        Look(at=13.0, done=1_000, cpu=5.5, server_cpu=1.5),
        Look(at=99.0, done=1_000, cpu=9.0),
    ]
    found = rate(looks, 1_000, started_at=8.0)
    assert found == Rate(events=700, seconds=2.0, cpu_seconds=1.5, server_cpu_seconds=0.5)
    assert (found.per_second, found.busy) == (350, 0.75)
    assert found.per_cpu_second == pytest.approx(700 / 1.5)


def test_what_one_look_found_done_is_measured_from_the_start() -> None:
    assert rate([Look(12.0, 50, 3.0)], 50, started_at=8.0) == Rate(50, 4.0, 3.0, with_start=True)
    with pytest.raises(ValueError, match="not all"):
        rate([Look(12.0, 50, 3.0)], 51, started_at=8.0)


def test_gauges_are_read_from_a_page() -> None:
    page = (
        "# HELP at The offset.\n"
        'at{partition="0",topic="a"} 12.0\nat{partition="1",topic="a"} 3e3\nat_total{partition="0",topic="a"} 5\n'
        "alone 7.0\n"
    )
    assert gauges(page, "at", "partition") == {"0": 12.0, "1": 3000.0}
    assert gauges(page, "at", "topic", "partition") == {"a/0": 12.0, "a/1": 3000.0}
    assert gauges(page, "alone", "partition") == {"": 7.0}
    assert gauges("", "at", "partition") == {}


def test_of_two_workers_the_one_that_is_further_counts() -> None:
    assert furthest([{"0": 5.0, "1": 1.0}, {"1": 4.0, "2": 2.0}]) == {"0": 5.0, "1": 4.0, "2": 2.0}


def test_percentiles_and_the_middle() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.99, 0.999, 1.0)] == [50, 99, 100, 100]
    assert percentile([3.0], 0.01) == 3.0
    assert middle([5.0, 1.0, 3.0]) == 2
    assert middle([5.0, 1.0]) == 1


def test_the_default_cases() -> None:
    cases = plan(
        events=1_000_000,
        users=[1_000_000, 10_000, 100_000],
        workers=[2, 1],
        states=["none", "full"],
        stock_events=60_000,
    )
    assert cases == [
        Case("full", 10_000, 1, 1_000_000),
        Case("stock", 100_000, 1, 60_000),
        Case("none", 100_000, 1, 1_000_000),
        Case("full", 100_000, 1, 1_000_000),
        Case("full", 100_000, 2, 1_000_000),
        Case("full", 1_000_000, 1, 1_000_000),
    ]


def test_one_case_alone() -> None:
    assert plan(events=10, users=[7], workers=[2], states=["full"], stock_events=None) == [Case("full", 7, 2, 10)]
    assert plan(events=10, users=[7], workers=[1], states=["none"], stock_events=60) == [
        Case("stock", 7, 1, 10),
        Case("none", 7, 1, 10),
    ]


@pytest.mark.parametrize(
    ("users", "events", "expected"),
    [(100, 1_000, (100, 1)), (1_000, 1_000, (100, 10)), (5, 1_000, (5, 1)), (3, 2, (1, 3))],
)
def test_users_are_split_where_events_are_few(users: int, events: int, expected: tuple[int, int]) -> None:
    assert logs.shares(users, events) == expected


@pytest.mark.parametrize("users", [50, 1_000])
def test_a_log_holds_valid_events_of_so_many_users(tmp_path: Path, users: int) -> None:
    log = logs.invent(tmp_path / "log", users=users, events=2_000, seed=3, end=END)
    records = list(log.records())
    assert len(records) == log.events == sum(log.types.values()) == 2_000
    for key, value in records:
        decoded(key, value)
    subjects = {key for key, _ in records if key.isdigit()}
    assert len(subjects) == log.users
    assert 0.5 * users < log.users < 2 * users
    assert list(log.records(10)) == records[:10]
    again = logs.invent(tmp_path / "again", users=users, events=2_000, seed=3, end=END)
    assert again.path.read_bytes() == log.path.read_bytes()


def test_a_past_is_what_the_stream_service_would_have_written(tmp_path: Path) -> None:
    log = logs.invent(tmp_path / "log", users=40, events=800, seed=3, end=END)
    past = history.fold(log, "bot.events", PARTITIONS)
    assert {key for key, _ in past.users} == {key for key, _ in log.records() if key.isdigit()}
    assert sum(past.next_offset.values()) == log.events
    copies = list(history.many(past, 500, PARTITIONS))
    assert len({key for key, _, _ in copies}) == 500
    for key, value, entries in copies:
        # Restoring refuses an applied offset that its partition of the log doesn't reach.
        assert 0 <= aggregate.applied_of(value) < past.next_offset[partition_of(key, PARTITIONS)]
        assert all(entry.startswith(key + b":charge:") or key + b":" in entry for entry, _ in entries)
    assert sum(bool(entries) for _, _, entries in copies) > 0
    assert past.value_bytes > 100


def test_known_users_go_on_where_their_past_ends(tmp_path: Path) -> None:
    log = logs.invent(tmp_path / "log", users=300, events=1_000, seed=3, end=END, past=True)
    assert (log.past, log.events) == (1_000, 2_000)
    past = history.fold(log, "bot.events", PARTITIONS)
    assert sum(past.next_offset.values()) == log.past
    known = {key for key, _, _ in history.many(past, 300, PARTITIONS)}
    later = {key for key, _ in islice(log.records(), log.past, None) if key.isdigit()}
    assert len(known) == 300
    assert all(decoded(key, value) for key, value in log.records())
    assert later <= known
    assert any(int(key) > logs.SHARE_DISTANCE for key in later)


def test_the_cases_of_known_users() -> None:
    assert plan_known(events=10, users=[9, 7], workers=[1]) == [Case("known", 7, 1, 10), Case("known", 9, 1, 10)]


def test_what_comes_before_the_measurement_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "applied", lambda port: {"0": 120.0, "1": 45.0})
    assert watching.streams_progress([1], {"0": 100, "1": 40, "2": 70})() == (25, True)
    assert watching.streams_progress([1])() == (165, True)


def test_single_events_are_valid() -> None:
    for value in (message("42", "m-1"), payment("42", "p-1", 1_500)):
        decoded(b"42", value)


def test_a_counter_is_shared(tmp_path: Path) -> None:
    one, other = Counter(tmp_path / "counter"), Counter(tmp_path / "counter")
    assert other.get() == 0
    one.set(1 << 40)
    assert other.get() == 1 << 40


def run(events: int, seconds: float, **changes: object) -> Run:
    return Run(Rate(events, seconds, seconds, **changes), 2.0, 200_000_000, 100_000_000)  # type: ignore[arg-type]


def test_the_table_of_the_streams_compares_with_stock_faust() -> None:
    results = [
        Result(Case("stock", 100_000, 1, 60_000), 99_000, (run(60_000, 10.0),)),
        Result(Case("full", 100_000, 1, 10**6), 100_000, (run(10**6, 50.0), run(10**6, 10.0), run(10**6, 12.5))),
        Result(Case("full", 10**6, 1, 10**6), 10**6, (run(10**6, 20.0, with_start=True),)),
    ]
    table = streams_report.table(results)
    cells = dict(zip(table.headings, table.rows[1], strict=True))
    assert (cells["events/s"], cells["times stock Faust"], cells["bytes a user"]) == ("80,000", "13.3", "1,000")
    assert table.rows[2][4] == "50,000 (*)"
    assert "1.60 times the CPU" in table.notes[0]
    assert table.notes[-1] == WITH_START
    content = streams_report.content(results)
    assert content[1]["times_stock_faust"] == 13.33
    assert len(content[1]["runs"]) == 3


def test_the_table_of_the_projections_compares_with_the_projections() -> None:
    results = [
        [ProjectionsResult("projections", Rate(100, 1.0, 0.5, 0.25), 1.0, 10**8)],
        [ProjectionsResult("each", Rate(10, 1.0, 0.5), 1.0, 10**8)],
        [ProjectionsResult("copy", Rate(200, 1.0, 0.5), None, None)],
    ]
    assert [row[6] for row in projections_report.table(results).rows] == ["", "10.00", "0.50"]


def test_a_table_goes_between_its_marks(tmp_path: Path) -> None:
    document = tmp_path / "figures.md"
    document.write_text("before\n<!-- begin bench x -->\nold\n<!-- end bench x -->\nafter\n")
    text = Table("T", ("", "events/s"), [("a|b", "1")], ["A note."]).markdown()
    put_into(document, "bench x", text)
    put_into(document, "bench x", text)
    assert document.read_text() == (
        "before\n<!-- begin bench x -->\n|  | events/s |\n| --- | ---: |\n| a/b | 1 |\n\nA note.\n"
        "<!-- end bench x -->\nafter\n"
    )
    with pytest.raises(ConfigurationError, match="bench y"):
        put_into(document, "bench y", text)
    with pytest.raises(ConfigurationError, match="can't be read"):
        put_into(tmp_path / "none.md", "bench x", text)


def test_a_past_can_be_as_short_as_one_user(tmp_path: Path) -> None:
    log = logs.invent(tmp_path / "log", users=200, events=2_000, seed=3, end=END)
    past = history.fold(log, "bot.events", PARTITIONS)
    assert len(list(islice(history.many(past, 1, PARTITIONS), 5))) == 1


def test_the_questions_are_the_guide_word_for_word_and_each_has_a_naive_one() -> None:
    text = Path(__file__).parents[2].joinpath("guide/queries.sql").read_text()
    whole = {part.strip() for part in re.sub(r"(?m)^--.*$", "", text).split(";")} - {""}
    asked = {question.text for question in queries.statements("guide").values()}
    assert asked < whole
    assert all(re.match(r"SELECT (\* FROM )?(update|cleanup|check)_\w+\(", left) for left in whole - asked)
    assert list(queries.statements("naive")) == list(queries.statements("guide"))


def test_an_answer_that_differs_from_the_naive_one_is_no_measurement() -> None:
    day = [{"date": 1, "revenue": 5, "more": "x"}, {"date": 2, "revenue": 7, "more": "y"}]
    queries.compare("revenue_by_day", day, [{"date": 2, "revenue": 7}, {"date": 1, "revenue": 5}])
    for other in ([{"date": 2, "revenue": 7}], [{"date": 2, "revenue": 7}, {"date": 1, "revenue": 6}], []):
        with pytest.raises(AssertionError, match="revenue_by_day"):
            queries.compare("revenue_by_day", day, other)


def test_the_table_of_the_questions_says_what_misses_its_target() -> None:
    def misses(name: str, milliseconds: list[float], naive: list[float]) -> str:
        result = queries.Result(name, "a question", 1, milliseconds, naive)
        return queries.table([result], users=1, events=1).rows[0][-1]

    assert misses("sessions", [40.0, 49.0, 49.9, 70.0], [5_000.0]) == ""
    assert misses("sessions", [60.0], [5_000.0]) == "50 ms"
    assert misses("top_users", [6.0], [900.0]) == "5 ms"
    assert misses("sessions", [45.0], [2_000.0]) == "50 times"
    assert misses("sessions", [45.0], [900.0]) == ""
