"""Nobody's history grows a record: neither the aggregate's nor an entry's."""

from __future__ import annotations

import json
from datetime import timedelta

from schemas.codec import Decoder
from streams.batch import fold_batch
from streams.state import PartitionState

from .records import PLACE, START, event, log
from .test_fold import payment, refund

AGGREGATE_BYTES = 4096
DECODER = Decoder(1)


def test_twenty_thousand_charges_of_one_user_fit_like_one() -> None:
    state = PartitionState()
    records = log([payment(f"p{n}", 100, f"ch_{n:060d}", at=START + timedelta(seconds=n)) for n in range(20_000)])
    greatest = 0
    for at in range(0, len(records), 1000):
        fold_batch(records[at : at + 1000], PLACE, DECODER, state)
        users, entries = state.changes()
        greatest = max(greatest, *(len(value) for _, value in [*users, *entries]))
        state.stored(users, entries)
    ((_, value),) = users
    assert json.loads(value)["purchases"] == 20_000
    assert json.loads(value)["spent_cents"] == 2_000_000
    assert greatest < AGGREGATE_BYTES


def test_the_busiest_user_stays_below_the_bound() -> None:
    """Every bucket of every window is filled, with counters far beyond a person's."""
    events = []
    for hour in range(-24 * 31, 1):
        at = START + timedelta(hours=hour + 24)
        events += [
            event("message.received", {"kind": "text"}, id_=f"m{hour}", at=at),
            event("credits.spent", {"credits": 1_000_000, "reason": "other"}, id_=f"c{hour}", at=at),
            payment(f"p{hour}", 1_000_000, f"ch{hour}", at=at),
            event(
                "content.unlocked", {"content_id": "c", "price_cents": 1, "paid_with": "free"}, id_=f"u{hour}", at=at
            ),
        ]
    state = PartitionState()
    fold_batch(log(events), PLACE, DECODER, state)
    ((_, value),) = state.changes()[0]
    aggregate = json.loads(value)
    assert (len(aggregate["hours"]), len(aggregate["days"])) == (24, 30)
    assert len(value) < AGGREGATE_BYTES


def test_a_charge_with_a_thousand_refunds_stays_small() -> None:
    state = PartitionState()
    events = [payment("p", 1_000_000), *(refund(f"r{n}", 1, f"refund_{n}", original=1) for n in range(1000))]
    fold_batch(log(events), PLACE, DECODER, state)
    entries = dict(state.changes()[1])
    assert len(entries[b"7:charge:stripe:ch"]) < 1024


def test_buckets_that_no_window_sees_are_dropped() -> None:
    state = PartitionState()
    day = timedelta(days=1)
    first = log([event("message.received", {"kind": "text"}, id_="old")])
    fold_batch(first, PLACE, DECODER, state)
    state.stored(*state.changes())
    later = log([event("message.received", {"kind": "text"}, id_="new", at=START + 40 * day)], first_offset=1)
    later[0].timestamp += 40 * 86_400_000
    fold_batch(later, PLACE, DECODER, state)
    ((_, value),) = state.changes()[0]
    aggregate = json.loads(value)
    assert aggregate["messages"] == 2
    assert [bucket[0] for bucket in aggregate["days"]] == [int((START + 40 * day).timestamp()) // 86_400]
