"""The packed form of own actions, and which events they come from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.folds.actions import PACKED_BYTES, Action, Actions, Kind, pack, unpack, without
from projections.folds.day_figures import DayFigures
from projections.folds.hour_figures import HourFigures
from projections.folds.journal import Journal
from projections.ledger.facts import KnownFacts
from projections.ledger.ledger import Ledger
from schemas.activity import OWN_ACTIONS
from schemas.limits import ALL_LIMITS
from tests.support.folding import arrivals, at, charge, event, message

actions = st.builds(
    Action,
    st.just(7),
    st.datetimes(datetime(2013, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    st.sampled_from([int(kind) for kind in Kind]),
    st.integers(0, 2**32 - 1),
)


@given(st.lists(actions))
def test_packing_loses_nothing(found: list[Action]) -> None:
    packed = b"".join(pack(time, kind, amount) for _, time, kind, amount in found)
    assert len(packed) == PACKED_BYTES * len(found)
    assert list(unpack(7, packed)) == found


def test_amounts_within_every_version_of_the_limits_fit() -> None:
    most = max(max(limits.payment_cents_max, limits.credits_max) for limits in ALL_LIMITS)
    assert pack(at(), Kind.PURCHASE, most)


def test_one_of_equal_actions_is_taken_back() -> None:
    first, other = Action(1, at(), Kind.PURCHASE, 5), Action(1, at(), Kind.PURCHASE, 6)
    packed = b"".join(pack(a.time, a.kind, a.amount) for a in (other, first, first))
    assert list(unpack(1, without(packed, first))) == [other, first]
    with pytest.raises(ValueError, match="not among"):
        without(b"", first)


def test_every_own_action_and_nothing_else_is_one() -> None:
    log = arrivals(
        [
            message(),
            event("message.sent", kind_="text"),
            event("credits.spent", credits=3, reason="other"),
            event("credits.granted", credits=3, reason="other"),
            charge(cents=500),
            charge(cents=500),
            charge(cents=700),
            event("content.offered", content_id="x"),
            event("content.viewed", content_id="x"),
            event("content.unlocked", content_id="x", price_cents=1, paid_with="free"),
        ]
    )
    journal = Journal(log)
    ledger = Ledger(KnownFacts(), DayFigures(), HourFigures())
    ledger.fold(journal)
    gained = Actions(journal, ledger).gained
    assert [(action.kind, action.amount) for action in gained] == [(1, 0), (2, 3), (3, 500), (4, 0), (5, 0)]
    assert len(Kind) == len(OWN_ACTIONS)
