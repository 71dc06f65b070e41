"""The jars' cache: nothing enters it unchecked, and nothing is fetched twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.errors import MissingPartError
from deploy.local.jars import Jar, ensure_jars, locked_jars

CONTENT = b"the jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def serve(monkeypatch: pytest.MonkeyPatch, *answers: bytes | Exception) -> list[Path]:
    """Let the repository give these answers one after the other; returns the folders that were asked to fill."""
    left = list(answers)
    asked: list[Path] = []

    def resolve(jar: Jar, folder: Path) -> Path:
        asked.append(folder)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        file = folder / jar.filename
        file.write_bytes(answer)
        return file

    monkeypatch.setattr(jars, "_resolve", resolve)
    monkeypatch.setattr(jars.time, "sleep", lambda _: None)
    return asked


def test_the_lock_file_names_the_broker_and_all_it_needs() -> None:
    locked = locked_jars()
    assert len(locked) == len({jar.coordinates for jar in locked}) == 46
    assert "org.apache.kafka:kafka_2.13:4.1.1" in {jar.coordinates for jar in locked}
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in locked)
    assert "http" not in jars.LOCK_FILE.read_text()


def test_a_jar_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, CONTENT)
    told: list[tuple[str, int, int]] = []
    first = ensure_jars(tmp_path, lambda step, done=0, total=0: told.append((step, done, total)), [JAR])
    assert [path.read_bytes() for path in first] == [CONTENT]
    assert told[-1][1:] == (JAR.size, JAR.size)
    assert ensure_jars(tmp_path, jars=[JAR]) == first
    assert len(asked) == 1
    assert [path.name for path in tmp_path.glob("jars/*")] == [JAR.sha256[:16]]


def test_a_torn_file_in_the_cache_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, CONTENT, CONTENT)
    (path,) = ensure_jars(tmp_path, jars=[JAR])
    path.write_bytes(CONTENT[:3])
    assert ensure_jars(tmp_path, jars=[JAR]) == [path]
    assert path.read_bytes() == CONTENT


def test_another_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"the jaR")
    with pytest.raises(MissingPartError, match=r"org\.example:thing:1\.0 was fetched with SHA-256"):
        ensure_jars(tmp_path, jars=[JAR])
    assert list(tmp_path.glob("jars/*")) == []


@pytest.mark.parametrize("failure", [ConnectionError, TimeoutError, RuntimeError])
def test_a_failure_is_tried_again_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Callable[[str], Exception]
) -> None:
    serve(monkeypatch, failure("away"), CONTENT)
    assert len(ensure_jars(tmp_path / "one", jars=[JAR])) == 1
    asked = serve(monkeypatch, *[failure("away")] * jars.ATTEMPTS)
    with pytest.raises(MissingPartError, match=r"org\.example:thing:1\.0 could not be fetched .*away"):
        ensure_jars(tmp_path / "two", jars=[JAR])
    assert len(set(asked)) == jars.ATTEMPTS
