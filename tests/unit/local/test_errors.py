"""What a failed start says."""

from __future__ import annotations

from pathlib import Path

from deploy.local.errors import StartError, tail, telling_line

OLD = "\n=== 2026-01-01 00:00:00 UTC java\nERROR of an earlier start\n"


def test_only_the_newest_start_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text(f"{OLD}\n=== 2026-01-02 00:00:00 UTC java\none\ntwo\n")
    assert tail(log) == ["one", "two"]
    log.write_text(f"{OLD}\n=== 2026-01-02 00:00:00 UTC java\n")
    assert tail(log) == []
    assert str(StartError("Kafka", "it is gone", log)) == f"Kafka did not start: it is gone (log: {log})"
    assert tail(tmp_path / "none") == []


def test_the_line_about_the_error_is_chosen() -> None:
    trace = ["all is well", "java.net.BindException: taken", "\tat some.Class(Some.java:7)", "\t... 3 more", "bye"]
    assert telling_line(trace) == "java.net.BindException: taken"
    assert telling_line(["one", "two", ""]) == "two"
    assert telling_line([]) == ""
