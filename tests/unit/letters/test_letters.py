"""Letters read back, what became of them, and how their records are shown."""

from __future__ import annotations

import json
from typing import Any

from deploy.letters.letter import Letter, State, read_letter
from deploy.letters.reading import Selection, settle
from deploy.letters.showing import HIDDEN, readable
from schemas import dead_letters
from schemas.reasons import Reason
from schemas.records import CONTENT_TYPE_HEADER
from schemas.redrive import Original, headers_of_copy, only_projections_refused, originals_of
from tests.unit.streams.records import FakeRecord


def place(offset: int) -> Original:
    return Original("bot.events", 0, offset)


def letter(offset: int, stage: Any = "streams", record: FakeRecord | None = None) -> Letter:
    refused = record or FakeRecord(offset, b"7", b"{}", 1_000)
    key, value, headers = dead_letters.letter(refused, Reason.DATA, "why", stage)
    found = read_letter(FakeRecord(99, key, value, 2_000, "bot.dead-letters", headers=headers))
    assert found is not None
    return found


def test_a_letter_is_read_back_as_it_was_written() -> None:
    found = letter(5)
    assert (found.place, found.stage, found.reason, found.detail) == (place(5), "streams", "data", "why")
    assert (found.key, found.value, found.user) == (b"7", b"{}", 7)
    assert list(found.headers) == [CONTENT_TYPE_HEADER]
    assert not found.is_cut
    assert letter(5, record=FakeRecord(5, b"7", bytes(2_000_000), 0)).is_cut
    assert read_letter(FakeRecord(1, b"7", b"{}", 0, "bot.dead-letters")) is None


def test_a_copy_names_its_original_and_every_one_before() -> None:
    headers = headers_of_copy([CONTENT_TYPE_HEADER], place(5), "streams")
    assert originals_of(headers) == [place(5)]
    assert not only_projections_refused(headers)
    again = headers_of_copy(headers, place(8), "projections")
    assert originals_of(again) == [place(5), place(8)]
    assert only_projections_refused(again)
    assert not only_projections_refused([CONTENT_TYPE_HEADER])
    assert originals_of([CONTENT_TYPE_HEADER, ("redrive-of", b"nowhere"), ("redrive-of", None)]) == []  # type: ignore[list-item]


def test_what_became_of_a_letter_follows_from_its_copies() -> None:
    untouched, passed, refused, second = letter(1), letter(2), letter(3), letter(13)
    only_database, decided = letter(4, "projections"), letter(5, "projections")
    copies = {
        place(2): [place(12)],
        place(3): [place(13)],
        place(4): [place(14)],
    }
    letters = [untouched, passed, refused, second, only_database, decided]
    settle(letters, copies, {place(5), place(1)})
    assert [one.state for one in letters] == [
        State.OPEN, State.REDRIVEN, State.REFUSED_AGAIN, State.OPEN, State.REDRIVEN, State.ACCEPTED,
    ]  # fmt: skip
    # The copy of the copy passed: so have both letters.
    settle(letters, {**copies, place(3): [place(13), place(23)], place(13): [place(23)]}, ())
    assert [refused.state, second.state] == [State.REDRIVEN, State.REDRIVEN]


def test_a_selection_takes_what_every_filter_takes() -> None:
    found = letter(5)
    assert Selection().takes(found)
    assert Selection("data", "streams", "bot.events", 7, 2_000, State.OPEN, frozenset({place(5)})).takes(found)
    for wrong in (
        Selection(reason="limit"), Selection(stage="projections"), Selection(topic="x"), Selection(user=8),
        Selection(since_ms=2_001), Selection(state=State.ACCEPTED), Selection(places=frozenset({place(6)})),
    ):  # fmt: skip
        assert not wrong.takes(found)


def test_personal_data_is_shown_only_where_it_is_asked_for() -> None:
    value = json.dumps({"id": "x", "data": {"first_name": "Ada", "note": "about Ada", "amount_cents": 5}}).encode()
    shown = readable(value, show_personal=False)
    assert shown == {"id": "x", "data": {"first_name": HIDDEN, "note": HIDDEN, "amount_cents": 5}}
    assert readable(value, show_personal=True)["data"]["first_name"] == "Ada"
    broken = b'{"first_name": "Ada"\xff'
    assert "Ada" not in readable(broken, show_personal=False)
    assert readable(broken, show_personal=True) == '{"first_name": "Ada"\\xff'
    assert readable(None, show_personal=False) is None
