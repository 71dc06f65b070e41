"""What is read back from the changelog, whoever wrote it and in whatever order."""

from __future__ import annotations

from streams import ledger
from streams.aggregate import UserAggregate, decode
from streams.ledger import AmountState, Entry
from streams.state import PartitionState

from .records import changelog

USER = b"7"
ENTRY = b"7:trigger::t"


def aggregate(applied: int) -> bytes:
    return UserAggregate(applied=applied, messages=applied).encode()


def entry(*offsets: int) -> bytes:
    return Entry("trigger", [(offset, AmountState(offset)) for offset in offsets]).encode()


def test_the_highest_applied_position_wins_over_the_last_record() -> None:
    state = PartitionState()
    # A worker that was frozen wrote the last one late.
    state.merge_users(changelog((USER, aggregate(100)), (b"8", aggregate(5)), (USER, aggregate(60))))
    assert state.greatest_applied == 100
    assert state.user(USER).messages == 100
    assert state.outdated() == ([(USER, aggregate(100))], [])
    assert state.outdated() == ([], [])


def test_a_newer_record_after_the_late_one_needs_no_repair() -> None:
    state = PartitionState()
    for applied in (100, 60, 120):
        state.merge_users(changelog((USER, aggregate(applied))))
    assert state.user(USER).messages == 120
    assert state.outdated() == ([], [])


def test_versions_of_all_records_are_kept_until_the_aggregate_says_which_count() -> None:
    state = PartitionState()
    state.merge_entries(changelog((ENTRY, entry(10, 80))))
    state.merge_entries(changelog((ENTRY, entry(10, 30))))
    _, repaired = state.outdated()
    assert repaired == [(ENTRY, entry(10, 30, 80))]
    assert state.entry(ENTRY, "trigger", applied=50).newest == AmountState(30)


def test_versions_that_the_aggregate_does_not_know_are_not_there_yet() -> None:
    state = PartitionState()
    state.merge_entries(changelog((ENTRY, entry(80))))
    assert state.entry(ENTRY, "trigger", applied=79).newest == AmountState(None)
    again = PartitionState()
    again.merge_entries(changelog((ENTRY, entry(80))))
    assert again.entry(ENTRY, "trigger", applied=80).newest == AmountState(80)


def test_an_entry_keeps_what_held_when_the_batch_began() -> None:
    made = Entry("trigger")
    made.put(5, AmountState(5), base_offset=-1)
    made.put(7, AmountState(7), base_offset=6)
    made.put(9, AmountState(9), base_offset=6)
    assert made.versions == [(5, AmountState(5)), (9, AmountState(9))]
    assert ledger.decode(ENTRY, made.encode()).versions == made.versions


def test_the_greatest_applied_position_is_known_after_reading_back() -> None:
    state = PartitionState()
    assert state.greatest_applied == -1
    state.merge_users(changelog((USER, aggregate(100))))
    state.merge_users(changelog((b"8", aggregate(40))))
    assert state.greatest_applied == 100


def test_what_is_stored_is_no_change_any_more() -> None:
    state = PartitionState()
    state.user(USER).messages = 3
    changed = state.changes()
    state.stored(*changed, 5)
    assert state.changes() == ([], [])
    assert state.user(USER).messages == 3
    assert [key for key, _ in state.changes()[0]] == [USER]


def test_an_aggregate_that_is_finished_and_touched_again_is_written_once() -> None:
    state = PartitionState()
    state.merge_users(changelog((USER, aggregate(5))))
    for applied in (6, 7):
        user = state.user(USER)
        assert user.applied == applied - 1
        user.applied = user.messages = applied
        state.finish(USER)
    assert state.changes() == ([(USER, aggregate(7))], [])
    state.user(USER).messages = 8
    ((_, value),) = state.changes()[0]
    assert decode(value).messages == 8
