"""The fence of a rebuild: while it stands no batch of the live generation begins, and readers notice nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from projections import checkpoints
from projections.access import OWNER
from projections.checkpoints import Place
from projections.database import open_connection
from projections.generations import fence
from projections.generations.fence import Busy, fenced
from tests.support.polling import until

PLACE = Place("bot.events", 0)


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=200)
    yield connection
    connection.terminate()


@pytest.fixture
async def control(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await open_connection(database_url, application_name="test", lock_timeout_ms=200, role=OWNER)
    yield connection
    connection.terminate()


async def test_no_batch_begins_inside_the_fence(writer: asyncpg.Connection, control: asyncpg.Connection) -> None:
    lease = await checkpoints.claim(writer, PLACE, "test")
    move = checkpoints.Move(PLACE, lease.epoch, 0, 10, None, None, 10, 0, 0)
    async with fenced(control) as live:
        assert live == {PLACE: 0}
        assert await writer.fetchval("SELECT next_offset FROM checkpoints") == 0
        with pytest.raises(asyncpg.LockNotAvailableError):
            await checkpoints.advance(writer, [move])
    await checkpoints.advance(writer, [move])
    async with fenced(control) as live:
        assert live == {PLACE: 10}


async def test_the_fence_is_given_up_where_a_batch_does_not_end(
    writer: asyncpg.Connection, control: asyncpg.Connection
) -> None:
    lease = await checkpoints.claim(writer, PLACE, "test")
    async with writer.transaction():
        await checkpoints.advance(writer, [checkpoints.Move(PLACE, lease.epoch, 0, 10, None, None, 10, 0, 0)])
        with pytest.raises(Busy):
            async with fenced(control):
                pass
    async with fenced(control) as live:
        assert live == {PLACE: 10}


async def test_a_frozen_rebuild_loses_its_fence(
    writer: asyncpg.Connection, control: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "SILENT_SECONDS", 0.2)
    lease = await checkpoints.claim(writer, PLACE, "test")
    move = checkpoints.Move(PLACE, lease.epoch, 0, 10, None, None, 10, 0, 0)

    async def begun() -> bool:
        try:
            await checkpoints.advance(writer, [move])
        except asyncpg.LockNotAvailableError:
            return False
        return True

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        async with fenced(control):
            await until(begun, "the fence to fall")
    assert control.is_closed()
    assert await writer.fetchval("SELECT next_offset FROM checkpoints") == 10
