"""The fold against a naive reading of the contract, in every order of arrival and through any crash."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.codec import Decoder
from schemas.partitioner import partition_of
from streams import aggregate, state
from streams.aggregate import UserAggregate
from streams.batch import Outcome, fold_batch
from streams.state import DECODED_AGGREGATES, PartitionState

from .records import MINUTE, PLACE, START, FakeRecord, changelog, event, log

DECODER = Decoder(1)
ORDER_DEPENDENT = {"applied", "at_ms", "recent"}


def fold(records: Sequence[FakeRecord]) -> tuple[dict[str, Any], Outcome]:
    """Fold one user's records in one batch; the public value without what the order of arrival may change."""
    state = PartitionState()
    outcome = fold_batch(records, PLACE, DECODER, state)
    (_, value), *others = state.changes()[0]
    assert not others
    return {k: v for k, v in json.loads(value).items() if k not in ORDER_DEPENDENT}, outcome


def payment(id_: str = "p", cents: int = 1000, charge: str = "ch", **changes: Any) -> dict[str, Any]:
    data = {"charge_id": charge, "provider": "stripe", "method": "card", "amount_cents": cents}
    original = changes.pop("original", None)
    if original:
        data["original"] = {"amount_minor": original, "currency": "XTR"}
    return event("payment.succeeded", data, id_=id_, **changes)


def refund(id_: str, cents: int, refund_id: str, charge: str = "ch", **changes: Any) -> dict[str, Any]:
    data = {"charge_id": charge, "provider": "stripe", "refund_id": refund_id, "amount_cents": cents}
    original = changes.pop("original", None)
    if original:
        data["original"] = {"amount_minor": original, "currency": "XTR"}
    return event("payment.refunded", data, id_=id_, **changes)


def refund_failed(id_: str, refund_id: str) -> dict[str, Any]:
    data = {"charge_id": "ch", "provider": "stripe", "refund_id": refund_id}
    return event("payment.refund_failed", data, id_=id_)


def closed(id_: str, outcome: str, dispute: str = "d", **changes: Any) -> dict[str, Any]:
    data = {"charge_id": "ch", "provider": "stripe", "dispute_id": dispute, "outcome": outcome}
    return event("payment.dispute_closed", data, id_=id_, **changes)


def opened(id_: str, cents: int, dispute: str = "d", **changes: Any) -> dict[str, Any]:
    data = {"charge_id": "ch", "provider": "stripe", "dispute_id": dispute, "amount_cents": cents}
    return event("payment.dispute_opened", data, id_=id_, **changes)


ABOUT_ONE_CHARGE: list[tuple[list[dict[str, Any]], int, int]] = [
    ([payment()], 1, 1000),
    ([payment(), refund("r1", 300, "a"), refund("r2", 200, "b")], 1, 500),
    ([payment(), refund("r1", 300, "a"), refund("r2", 800, "b")], 0, 0),
    ([payment(), refund("r1", 300, "a"), refund_failed("f", "a"), refund("r2", 100, "b")], 1, 900),
    ([payment(), refund("r1", 300, "a"), refund("r1-again", 300, "a", at=START - MINUTE)], 1, 700),
    ([payment(), opened("o", 1000), closed("c", "lost")], 0, 0),
    ([payment(), opened("o", 1000)], 1, 1000),
    ([payment(), closed("c1", "lost"), closed("c2", "won", at=START + MINUTE)], 1, 1000),
    ([payment(), closed("c1", "won"), closed("c2", "lost", at=START + MINUTE), refund("r", 10, "a")], 0, 0),
    ([payment(original=100), refund("r1", 495, "a", original=50), refund("r2", 495, "b", original=50)], 0, 0),
    ([payment(original=100), refund("r1", 495, "a", original=50), refund("r2", 495, "b")], 1, 10),
    (
        [
            payment(),
            payment("p-copy", at=START - 3 * MINUTE, source="/hook"),
            refund("r1", 1, "a"),
            refund("r2", 2, "b"),
            opened("o", 5),
            closed("c", "won"),
        ],
        1,
        997,
    ),
]


@pytest.mark.parametrize(("events", "purchases", "spent"), ABOUT_ONE_CHARGE)
def test_every_order_of_events_about_one_charge_gives_the_same_aggregate(
    events: list[dict[str, Any]], purchases: int, spent: int
) -> None:
    results = [fold(log(order))[0] for order in itertools.permutations(events)]
    assert (results[0]["purchases"], results[0]["spent_cents"]) == (purchases, spent)
    assert all(result == results[0] for result in results)


def test_a_refund_that_names_another_charge_moves_with_the_fact_that_supplies_the_fields() -> None:
    events = [
        payment(),
        payment("p2", charge="ch2"),
        refund("r", 400, "a"),
        refund("r-earlier", 400, "a", charge="ch2", at=START - MINUTE),
        refund("r2", 700, "b"),
    ]
    results = [fold(log(order))[0] for order in itertools.permutations(events)]
    assert results[0]["spent_cents"] == 300 + 600
    assert all(result == results[0] for result in results)


def test_another_amount_is_a_conflict_and_changes_nothing() -> None:
    for first, second in [
        (payment(), payment("p2", 999)),
        (refund("r1", 5, "a"), refund("r2", 6, "a")),
        (opened("o1", 5), opened("o2", 6)),
    ]:
        alone, _ = fold(log([first]))
        both, outcome = fold(log([first, second]))
        assert both == alone
        assert outcome.refused == {"conflict": 1}
        assert dict(outcome.letters[0].headers)["dl-reason"] == b"conflict"
        assert dict(outcome.letters[0].headers)["dl-offset"] == b"1"


def test_counters_windows_and_last_activity() -> None:
    day = timedelta(days=1)
    result, _ = fold(
        log(
            [
                event("message.received", {"kind": "text"}, id_="1"),
                event("message.received", {"kind": "text"}, id_="2", at=START - 40 * day),
                event("message.sent", {"kind": "text"}, id_="3", at=START + MINUTE),
                event("credits.spent", {"credits": 5, "reason": "message"}, id_="4", at=START - 3 * day),
                event("credits.granted", {"credits": 3, "reason": "bonus"}, id_="5"),
                event(
                    "content.unlocked",
                    {"content_id": "c", "price_cents": 100, "paid_with": "free"},
                    id_="6",
                    at=START + 2 * MINUTE,
                ),
                payment(),
            ]
        )
    )
    hour = int(START.timestamp()) // 3600
    today = hour // 24
    assert (result["messages"], result["credits"], result["credits_spent"], result["unlocks"]) == (2, -2, 5, 1)
    assert result["last_active_us"] == int((START + 2 * MINUTE).timestamp()) * 1_000_000
    # Broker time is a day after START: its own hour still lies within the window, just.
    assert result["days"] == [[today - 3, 0, 0, 0, 5, 0], [today, 1, 1, 1000, 0, 1]]
    assert result["hours"] in ([], [[hour, 1, 1, 1000, 0, 1]])


def test_tier_changes_name_their_cause_and_numbers() -> None:
    events = [payment(f"p{n}", 400, f"ch{n}", at=START + n * MINUTE) for n in range(13)]
    _, outcome = fold(log(events))
    changes = [json.loads(change.value or b"") for change in outcome.tier_changes]
    assert [(c["data"]["previous"], c["data"]["current"], c["data"]["caused_by"]["id"]) for c in changes] == [
        ("new", "regular", "p2"),
        ("regular", "vip", "p9"),
    ]
    assert changes[0]["data"]["purchases"] == 3
    assert changes[0]["data"]["spent_cents"] == 1200
    assert len({c["id"] for c in changes}) == 2


def test_a_repeated_event_changes_nothing_among_the_last_64() -> None:
    first = event("message.received", {"kind": "text"}, id_="same")
    others = [event("message.received", {"kind": "text"}, id_=f"o{n}") for n in range(63)]
    result, _ = fold(log([first, *others, first]))
    assert result["messages"] == 64


def test_an_original_of_any_size_passes() -> None:
    huge = int("9" * 4000)
    result, outcome = fold(log([payment(original=huge), refund("r", 1, "a", original=huge)]))
    assert result["spent_cents"] == 0
    assert not outcome.letters


def test_the_aggregate_reads_back_as_it_was_written() -> None:
    state = PartitionState()
    fold_batch(log([payment(), event("message.received", {"kind": "text"}, id_="m")]), PLACE, DECODER, state)
    ((_, value),) = state.changes()[0]
    assert aggregate.decode(value).encode() == value
    assert aggregate.applied_of(value) == 1
    assert aggregate.decode(UserAggregate().encode()) == UserAggregate()


def random_history(seed: int, users: int, length: int) -> list[FakeRecord]:
    """Payments, refunds, disputes, conflicts and repeats of a few users, interleaved."""
    chance = random.Random(seed)
    events: list[dict[str, Any]] = []
    for n in range(length):
        user = chance.randint(1, users)
        at = START + timedelta(seconds=chance.randint(-100_000, 80_000))
        charge, other = f"ch{chance.randint(1, 4)}", f"x{chance.randint(1, 3)}"
        made = chance.choice(
            [
                payment(f"e{n}", 1000 + 100 * (chance.random() < 0.1), charge, at=at, user=user),
                refund(f"e{n}", 100 + (chance.random() < 0.1), other, charge, at=at, user=user),
                event("message.received", {"kind": "text"}, id_=f"e{n}", at=at, user=user),
                event("credits.granted", {"credits": 2, "reason": "bonus"}, id_=f"e{n}", at=at, user=user),
                {**closed(f"e{n}", chance.choice(["won", "lost"]), other, at=at), "subject": str(user)},
                {**opened(f"e{n}", 10, other, at=at), "subject": str(user)},
                {**refund_failed(f"e{n}", other), "subject": str(user)} if chance.random() < 0.2 else None,
                chance.choice(events) if events else None,
            ]
        )
        if made is not None:
            events.append(made)
    return log(events)


class DurableLog:
    """What a broker would hold: every acknowledged record, in the order it was written."""

    def __init__(self) -> None:
        self.users: list[tuple[bytes, bytes]] = []
        self.entries: list[tuple[bytes, bytes]] = []
        self.tier_changes: list[bytes] = []
        self.letters: list[tuple[bytes, bytes]] = []

    def compact(self) -> None:
        """Keep the last record of every key, as the broker does in its own time."""
        self.users = list(dict(self.users).items())
        self.entries = list(dict(self.entries).items())

    def restored(self) -> PartitionState:
        state = PartitionState()
        state.merge_users(changelog(*self.users))
        state.merge_entries(changelog(*self.entries))
        return state


def run(records: list[FakeRecord], chance: random.Random | None) -> DurableLog:
    """Fold in batches; with `chance`, of random sizes, with crashes that keep any part of what was being written."""
    durable = DurableLog()
    state, at = durable.restored(), 0
    while at < len(records):
        size = chance.randint(1, 40) if chance else len(records)
        batch = records[at : at + size]
        outcome = fold_batch(batch, PLACE, DECODER, state)
        users, entries = state.changes()
        crash = chance.choice(["none", "none", "entries", "changes", "users", "all"]) if chance else "none"

        def part(values: list[Any], whole: bool) -> list[Any]:
            return values if whole or chance is None else values[: chance.randint(0, len(values))]

        durable.entries += part(entries, crash != "entries")
        durable.tier_changes += part([c.value for c in outcome.tier_changes], crash not in {"entries", "changes"})
        durable.letters += part(
            [(dict(c.headers)["dl-offset"], c.value) for c in outcome.letters], crash not in {"entries", "changes"}
        )
        if crash in {"none", "users", "all"}:
            durable.users += part(users, crash != "users")
        if crash == "none":
            state.stored(users, entries)
            at += size
        else:
            assert chance is not None
            if chance.random() < 0.5:
                durable.compact()
            state = durable.restored()
            # The position was committed some batches ago, or not at all.
            at = max(0, at - chance.choice([0, 0, 5, 100]))
    return durable


@pytest.mark.parametrize("seed", range(150))
def test_any_crash_repeats_work_and_never_an_effect(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many users a batch may have for its aggregates to be kept until its end."""
    records = random_history(seed, users=3, length=150)
    whole = run(records, None)
    monkeypatch.setattr(state, "DECODED_AGGREGATES", [DECODED_AGGREGATES, 0, 2][seed % 3])
    broken = run(records, random.Random(seed))
    expected, actual = whole.restored(), broken.restored()
    assert actual._users == expected._users
    by_id = {json.loads(change)["id"]: change for change in broken.tier_changes}
    assert all(by_id[json.loads(change)["id"]] == change for change in broken.tier_changes)
    assert sorted(by_id.values()) == sorted(whole.tier_changes)
    assert set(broken.letters) == set(whole.letters)


@pytest.mark.parametrize("seed", range(20))
def test_hundreds_of_events_in_random_orders_give_one_aggregate(seed: int) -> None:
    """Without conflicts, which stand in the order of the log: one amount an identity."""
    chance = random.Random(seed)
    events: list[dict[str, Any]] = []
    for n in range(300):
        at = START + timedelta(seconds=chance.randint(-2_000_000, 80_000))
        charge, other = chance.randint(1, 40), f"x{chance.randint(1, 60)}"
        events.append(
            chance.choice(
                [
                    payment(f"e{n}", 100 * charge, f"ch{charge}", at=at),
                    refund(f"e{n}", 70, other, f"ch{charge}", at=at),
                    closed(f"e{n}", chance.choice(["won", "lost"]), other, at=at),
                    opened(f"e{n}", 10, other, at=at),
                    event("credits.spent", {"credits": 2, "reason": "message"}, id_=f"e{n}", at=at),
                    event("message.received", {"kind": "text"}, id_=f"e{n}", at=at),
                ]
            )
        )
    expected, _ = fold(log(events))
    for _ in range(5):
        chance.shuffle(events)
        assert fold(log(events))[0] == expected


@pytest.mark.parametrize("seed", range(20))
def test_two_histories_of_one_user_may_interleave_in_any_way(seed: int) -> None:
    chance = random.Random(seed)
    first = [payment(f"a{n}", 100, f"ch{n}", source="/bot") for n in range(30)]
    second = [refund(f"b{n}", 60, f"r{n}", f"ch{n}", source="/hook") for n in range(30)]
    results = []
    for _ in range(5):
        left, right, woven = list(first), list(second), []
        while left or right:
            woven.append((left if left and (not right or chance.random() < 0.5) else right).pop(0))
        results.append(fold(log(woven))[0])
    assert results[0]["spent_cents"] == 30 * 40
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("what", ["published", "changed"])
def test_an_event_about_content_makes_no_user(what: str) -> None:
    data = {"content_id": "c", "content_type": "video", "price_cents": 100}
    about_content = event(f"content.{what}", data, id_="c1") | {"subject": "content:c"}
    state = PartitionState()
    outcome = fold_batch(log([about_content]), PLACE, DECODER, state)
    assert state.changes() == ([], [])
    assert outcome.skipped == {(about_content["type"], "other"): 1}
    assert not outcome.letters


@pytest.mark.parametrize("users", [3, 300])
def test_users_of_another_partition_are_refused_however_many_they_are(users: int) -> None:
    """Of many new keys the partitions are worked out together, of few one by one."""
    partitions = 4
    events = [event("message.received", {"kind": "text"}, id_=f"m{n}", user=10**9 + n) for n in range(users)]
    state = PartitionState()
    for _ in range(2):
        outcome = fold_batch(log(events), PLACE, Decoder(partitions), state)
        wrong = [e["subject"] for e in events if partition_of(e["subject"].encode(), partitions) != PLACE.partition]
        assert [letter.key for letter in outcome.letters] == [subject.encode() for subject in wrong]
        assert set(outcome.refused) == {"partition"}
        state.stored(*state.changes(), outcome.applied)
    assert len(state) == users - len(wrong)


def test_a_key_longer_than_any_subject_is_refused_and_never_hashed() -> None:
    partitions, long = 4, b"9" * (900 * 1024)
    wrong = [event("message.received", {"kind": "text"}, id_=name) for name in ("a", "b")]
    records = [replace(record, key=key) for record, key in zip(log(wrong), (long, long + b"9"), strict=True)]
    outcome = fold_batch(records, PLACE, Decoder(partitions), PartitionState())
    assert outcome.refused == {"key": 2}
    # It is told to belong wherever it lies, which nobody knows who has hashed it.
    decoder = Decoder(partitions)
    longest = f"content:{chr(0x1F600) * 512}".encode()
    for partition in range(partitions):
        assert decoder.lying_on(partition, {long}, ()) == {long}
        assert decoder.lying_on(partition, {longest + b"9"}, ()) == {longest + b"9"}
        assert (longest in decoder.lying_on(partition, {longest}, ())) == (
            partition_of(longest, partitions) == partition
        )
