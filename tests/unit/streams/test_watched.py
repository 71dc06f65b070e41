"""Whoever runs a partition must not end unnoticed."""

from __future__ import annotations

import asyncio

import pytest

from schemas.errors import ServiceStopped
from streams.worker import watched


async def ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    await asyncio.sleep(0)  # the callbacks of a task run in the loop's next round


async def waiting(for_what: asyncio.Future[None]) -> None:
    await for_what


async def test_an_error_and_a_cancellation_from_within_are_told() -> None:
    for end, kind in (
        (lambda future: future.set_exception(OSError("away")), OSError),
        (lambda future: future.cancel(), ServiceStopped),
    ):
        told: list[BaseException] = []
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = watched(asyncio.ensure_future(waiting(future)), told.append)
        await asyncio.sleep(0)
        end(future)
        await ended(task)
        assert [type(error) for error in told] == [kind]


@pytest.mark.parametrize("begun", [True, False])
async def test_a_cancellation_that_was_asked_for_is_no_news(begun: bool) -> None:
    told: list[BaseException] = []
    task = watched(asyncio.ensure_future(waiting(asyncio.get_running_loop().create_future())), told.append)
    if begun:
        await asyncio.sleep(0)
    task.cancel()
    await ended(task)
    assert told == []
