"""Which partitions a lane has, and how lanes end."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from projections.checkpoints import Place
from projections.lane import LANES, lane_of
from projections.runner import _all_or_none


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_what_the_group_deals_out_is_shared_evenly_by_the_lanes(workers: int) -> None:
    for worker in range(workers):
        lanes = Counter(lane_of(Place("bot.events", partition)) for partition in range(worker, 8, workers))
        assert set(lanes.values()) == {8 // workers // LANES}


def test_the_topics_of_one_user_are_of_one_lane() -> None:
    assert all(lane_of(Place("bot.events", n)) == lane_of(Place("bot.tier-changes", n)) for n in range(64))


async def test_the_first_lane_that_fails_ends_the_others() -> None:
    ended = asyncio.Event()

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise OSError("why")

    with pytest.raises(OSError, match="why"):
        await _all_or_none([asyncio.ensure_future(works()), asyncio.ensure_future(fails())])
    assert ended.is_set()


async def test_a_lane_that_was_cancelled_ends_the_others() -> None:
    cancelled = asyncio.ensure_future(asyncio.sleep(3600))
    other = asyncio.ensure_future(asyncio.sleep(3600))
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await _all_or_none([other, cancelled])
    assert other.cancelled()
