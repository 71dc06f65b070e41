"""Letters: nothing of the record is lost, and none is too large to send."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from schemas.dead_letters import KEPT_BYTES, MAX_LETTER_BYTES, Letter, letter, split_headers
from schemas.reasons import Reason
from schemas.records import CONTENT_TYPE_HEADER

from .support import Record

TOPIC_LIMIT = 2 * 1024 * 1024


def size(sent: Letter) -> int:
    return len(sent.key or b"") + len(sent.value or b"") + sum(len(n) + len(v or b"") for n, v in sent.headers)


@pytest.mark.parametrize("value", [b"", None, b"\xff\x00", b"x" * (1024 * 1024)])
@pytest.mark.parametrize("key", [b"", None, b"\xff"])
def test_the_record_as_it_was(value: bytes | None, key: bytes | None) -> None:
    headers: Any = [CONTENT_TYPE_HEADER, ("x", b"\xff"), ("x", None), ("dl-topic", b"a forgery")]
    record = Record(value, key, 3, headers=headers, topic="bot.events", offset=17)
    sent = letter(record, Reason.SYNTAX, "not JSON", "streams")
    assert (sent.key, sent.value) == (key, value)
    original, ours = split_headers(sent.headers)
    assert original == headers
    assert ours == {
        "dl-reason": b"syntax",
        "dl-detail": b"not JSON",
        "dl-topic": b"bot.events",
        "dl-partition": b"3",
        "dl-offset": b"17",
        "dl-stage": b"streams",
    }


def test_what_is_too_large_keeps_its_beginning() -> None:
    value = bytes(range(256)) * 8 * 1024
    sent = letter(Record(value, b"42", 0), Reason.TOO_LARGE, "2 MiB", "projections")
    _, ours = split_headers(sent.headers)
    assert sent.value == value[:KEPT_BYTES]
    assert ours["dl-truncated"] == b"true"
    assert ours["dl-length"] == b"%d" % len(value)
    assert ours["dl-sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert ours["dl-stage"] == b"projections"


def test_the_budget_counts_everything() -> None:
    fits = letter(Record(b"x" * MAX_LETTER_BYTES, b"", 0, headers=()), Reason.SYNTAX, "", "streams")
    assert len(fits.value or b"") == MAX_LETTER_BYTES
    cut = letter(Record(b"x" * MAX_LETTER_BYTES, b"k", 0, headers=()), Reason.SYNTAX, "", "streams")
    assert len(cut.value or b"") == KEPT_BYTES


def test_a_huge_key_and_huge_headers() -> None:
    big = b"y" * 3 * 1024 * 1024
    many = [("first", b"1")] + [(f"h{number}", b"z" * 1000) for number in range(5000)]
    for record in (
        Record(b"v", big, 0),
        Record(None, b"k", 0, headers=many),
        Record(b"v", b"k", 0, headers=[("huge", big)]),
        Record(big, big, 0, headers=[*many, ("huge", big)]),
    ):
        sent = letter(record, Reason.KEY, "the key is not the subject", "streams")
        assert size(sent) < TOPIC_LIMIT
        original, ours = split_headers(sent.headers)
        assert original == list(record.headers)[: len(original)]
        dropped = len(record.headers) - len(original)
        assert ours.get("dl-headers-dropped", b"0") == b"%d" % dropped
        if record.key == big:
            assert sent.key == big[:KEPT_BYTES]
            assert ours["dl-key-length"] == b"%d" % len(big)
            assert ours["dl-key-sha256"] == hashlib.sha256(big).hexdigest().encode()


def test_the_detail_is_bounded() -> None:
    sent = letter(Record(b"", b"", 0), Reason.DATABASE, "ß\ud800" * 5000, "projections")
    assert len(split_headers(sent.headers)[1]["dl-detail"]) <= 1000


def test_no_letter_at_all_has_no_headers_of_ours() -> None:
    assert split_headers([("a", b"1")]) == ([("a", b"1")], {})


def test_a_name_that_no_producer_can_send_is_written_out() -> None:
    name = b"ce_\xff\xe2\x82\xac".decode(errors="surrogateescape")
    sent = letter(Record(b"{}", b"42", 0, headers=[(name, b"h")]), Reason.CONTENT_TYPE, "a name", "streams")
    assert sent.headers[0] == ("ce_\\xff€", b"h")
