"""What becomes of one subject's records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from projections.verify.history import STREAMS_MEMORY, Entry, History, Verdict
from schemas.codec import Decoder
from tests.unit.streams.records import MINUTE, START, event, log


def charge(id_: str, cents: int, charge_id: str = "c1", at: Any = START) -> dict[str, Any]:
    data = {"charge_id": charge_id, "provider": "stripe", "method": "card", "amount_cents": cents}
    return event("payment.succeeded", data, id_=id_, at=at)


def message(id_: str) -> dict[str, Any]:
    return event("message.received", {"kind": "text"}, id_=id_)


def read(events: list[dict[str, Any]], refused: frozenset[int] = frozenset()) -> tuple[History, list[Entry]]:
    history = History(Decoder(1).decode_plain, refused)
    return history, [history.read(record) for record in log(events)]


def test_each_record_has_a_verdict_and_a_reason() -> None:
    bad = message("m1") | {"specversion": "0.9"}
    events = [
        charge("a", 500),
        charge("a", 500),
        charge("b", 700),
        bad,
        message("m1"),
        charge("c", 500, at=START - MINUTE),
    ]
    history, entries = read(events)
    assert [entry.verdict for entry in entries] == [
        Verdict.COUNTED, Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.INVALID, Verdict.COUNTED, Verdict.COUNTED,
    ]  # fmt: skip
    assert [bool(entry.why_not) for entry in entries] == [False, True, True, True, False, False]
    assert history.user is not None
    assert (history.user.money.purchases, history.user.money.spent_cents) == (1, 500)
    assert history.last_valid == 5


def test_an_event_that_the_database_refused_counts_when_its_copy_comes() -> None:
    history, entries = read([message("a"), message("a")], refused=frozenset({0}))
    assert [entry.verdict for entry in entries] == [Verdict.REFUSED, Verdict.COUNTED]
    assert history.user is not None
    assert len(history.user.messages) == 1


def test_a_repeat_beyond_streams_memory_makes_only_its_own_totals_incomparable() -> None:
    within = [message(f"m{n}") for n in range(STREAMS_MEMORY)]
    assert not read([*within, within[0]])[0].beyond_memory
    beyond = [*within, message("one more")]
    assert read([*beyond, within[0]])[0].beyond_memory


def test_what_is_about_a_content_item_counts_and_is_of_no_user() -> None:
    item = event("content.changed", {"content_id": "i", "content_type": "photo", "price_cents": 100}, id_="e")
    history, (entry,) = read([item | {"subject": "content:i"}])
    assert (entry.verdict, entry.why_not, history.user) == (Verdict.COUNTED, "", None)


def test_the_tier_is_of_the_record_that_moved_it() -> None:
    history, _ = read([charge("a", 900, "c1"), charge("b", 150, "c2"), charge("c", 150, "c3"), charge("d", 1, "c3")])
    assert history.user is not None
    assert history.user.tier == "regular"
    assert history.user.tier_changed_at == START + timedelta(days=1, milliseconds=1)
