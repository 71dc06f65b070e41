"""Finding JSON objects in lines: one a line, or spread as people print them."""

from __future__ import annotations

import io
import json

import pytest

from deploy.lines import chunks, subject_of

EVENT = {"id": "1", "subject": "42", "data": {"kind": "text"}}
LINE = json.dumps(EVENT)
SPREAD = json.dumps(EVENT, indent=2)


def found(text: str | bytes) -> list[tuple[int, bytes]]:
    content = text.encode() if isinstance(text, str) else text
    return [one for chunk in chunks(io.BytesIO(content)) for one in chunk]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(LINE, [1], id="no line end"),
        pytest.param(f"{LINE}\n{LINE}\r\n\n{LINE}\n", [1, 2, 4], id="lines"),
        pytest.param(f"{SPREAD}\n{LINE}\n{SPREAD}", [1, 8, 9], id="spread and not"),
        pytest.param(f"\ufeff{LINE}\n", [1], id="byte order mark"),
        pytest.param(f"rubbish\n{LINE}\n", [1, 2], id="no object"),
        pytest.param('{"id": "1",\n' + LINE, [1, 2], id="a broken line swallows nothing"),
        pytest.param('{"id": NaN}\n' + LINE, [1, 2], id="a whole line that is no JSON"),
        pytest.param('{"id": "1",\n  "data": {}\n', [1, 2], id="never completed: every line is named"),
    ],
)
def test_objects_and_their_lines(text: str, lines: list[int]) -> None:
    assert [number for number, _ in found(text)] == lines


def test_an_object_over_lines_arrives_whole() -> None:
    assert [json.loads(value) for _, value in found(f"{SPREAD}\n{SPREAD}\n")] == [EVENT, EVENT]


def test_a_line_longer_than_a_read_arrives_whole() -> None:
    long = json.dumps({**EVENT, "note": "x" * 1_000_000})
    assert found(f"{long}\n{LINE}\n") == [(1, long.encode()), (2, LINE.encode())]


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        (LINE.encode(), b"42"),
        (b"{", b""),
        (b"[1]", b""),
        (b'{"subject": 42}', b""),
        (b"\xff", b""),
    ],
)
def test_the_key_of_anything(value: bytes, subject: bytes) -> None:
    assert subject_of(value) == subject
