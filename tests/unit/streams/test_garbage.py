"""Garbage in cycles: collected by the minute, and before that once there is very much of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Iterator

import pytest

from streams import worker

AT_MOST = 1_100_000
"""Objects that lie about before the collector looks at them."""


class Node:
    """Refers to itself, as what the client libraries leave behind does: reference counts never free it."""

    __slots__ = ("__weakref__", "itself")

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _settings() -> Iterator[None]:
    """The collector as a worker has it, with everything older out of its way."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*worker.GC_THRESHOLDS)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("_settings")
async def test_a_worker_collects_garbage_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "GC_SECONDS", 0.01)
    gone = asyncio.Event()
    node = Node()
    weakref.finalize(node, gone.set)
    del node
    collecting = asyncio.ensure_future(worker._collect_garbage())
    async with asyncio.timeout(30):
        await gone.wait()
    collecting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await collecting


@pytest.mark.usefixtures("_settings")
def test_much_garbage_is_collected_without_waiting_for_that() -> None:
    alive: weakref.WeakSet[Node] = weakref.WeakSet()
    most = 0
    for number in range(2 * AT_MOST):
        node = Node()
        if number % 1000 == 0:
            alive.add(node)
            most = max(most, len(alive))
    assert most * 1000 <= AT_MOST
