"""Numbers of things: one thing is not said in the plural."""

from __future__ import annotations

from schemas.counting import counted


def test_one_is_singular() -> None:
    assert [counted(number, "letter") for number in (0, 1, 1000)] == ["0 letters", "1 letter", "1,000 letters"]
    assert [counted(number, "file is", "files are") for number in (1, 2)] == ["1 file is", "2 files are"]
