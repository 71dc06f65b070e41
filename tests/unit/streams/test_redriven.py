"""Copies of refused records: what streams has folded already it passes over, however long ago that was."""

from __future__ import annotations

from schemas.codec import Decoder
from schemas.redrive import Original, headers_of_copy
from streams.aggregate import UserAggregate
from streams.batch import fold_batch
from streams.state import PartitionState
from tests.unit.streams.records import PLACE, FakeRecord, event, log


def folded(records: list[FakeRecord]) -> UserAggregate:
    state = PartitionState()
    fold_batch(records, PLACE, Decoder(1), state)
    return state.user(b"7")


def history(stage: str) -> list[FakeRecord]:
    """A message, a hundred others, and a copy of the first."""
    sent = [event("message.received", {"kind": "text"}, id_=f"m{number}") for number in range(101)]
    records = log([*sent, sent[0]])
    records[-1].headers = headers_of_copy(records[0].headers, Original("bot.events", 0, 0), stage)
    return records


def test_a_copy_of_what_only_the_database_refused_is_passed_over() -> None:
    user = folded(history("projections"))
    assert user.messages == 101
    assert user.applied == 101, "the position moves over it"


def test_a_copy_of_what_streams_refused_is_folded() -> None:
    records = history("streams")
    records[0].value = b"not yet valid"
    assert folded(records).messages == 101
