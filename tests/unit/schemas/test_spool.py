"""The publisher's file: order, limits of trust in what it finds there, one owner."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from schemas.publisher.spool import Spool
from schemas.publisher.store import VERSIONS, Store

EVENTS = [(b"1", b"first"), (b"2", b"second"), (b"1", b"third")]


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Spool]:
    store = Store(path)
    try:
        await store.open()
        spool = Spool(store)
        await spool.open()
        yield spool
    finally:
        await store.close()


async def test_what_was_written_is_there_in_its_order_after_a_new_start(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "spool.db"
    async with opened(path) as spool:
        await spool.append(EVENTS[:1])
        await spool.append(EVENTS[1:])
    async with opened(path) as spool:
        head = await spool.head()
        assert [(key, value) for _, key, value in head] == EVENTS
        assert (spool.events, spool.bytes) == (3, 3 + len("firstsecondthird"))
        await spool.remove(head[:2])
        assert [value for *_, value in await spool.head()] == [b"third"]
        assert (spool.events, spool.bytes) == (1, 6)


async def test_every_commit_is_synced(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool.db") as spool:

        def pragmas(connection: sqlite3.Connection) -> tuple[object, ...]:
            return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))

        full = 2
        assert await spool._store.run(pragmas) == ("wal", full)


async def test_a_broken_record_is_set_aside_with_its_bytes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "spool.db"
    async with opened(path) as spool:
        await spool.append(EVENTS)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE spool SET value = ? WHERE position = 2", (b"sec0nd",))
    connection.close()
    async with opened(path) as spool:
        assert [value for *_, value in await spool.head()] == [b"first", b"third"]
        assert (spool.events, spool.bytes, spool.set_aside) == (2, len("1first1third"), 1)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "record 2 of the spool" in caplog.text
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT position, key, value FROM set_aside").fetchall() == [(2, b"2", b"sec0nd")]
    connection.close()


async def test_a_damaged_file_is_kept_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "spool.db"
    rubbish = b"no database at all" * 1000
    path.write_bytes(rubbish)
    async with opened(path) as spool:
        await spool.append(EVENTS)
        assert len(await spool.head()) == 3
    assert (tmp_path / "spool.db.damaged-1").read_bytes() == rubbish
    assert "spool.db.damaged-1" in caplog.text


@pytest.mark.parametrize("version", range(1, len(VERSIONS) + 1))
async def test_a_file_of_every_older_version_is_read(tmp_path: Path, version: int) -> None:
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    for script in VERSIONS[:version]:
        connection.executescript(script)
    connection.execute(f"PRAGMA user_version = {version}")
    digest = bytes.fromhex("23a2b1d1f8e5be6a0a1e7f4c5b9cd9f2b0a0")  # of no event: whoever reads it sets it aside
    connection.execute("INSERT INTO spool (key, value, digest) VALUES (?, ?, ?)", (b"1", b"first", digest))
    connection.commit()
    connection.close()
    async with opened(path) as spool:
        await spool.append(EVENTS[1:])
        assert [value for *_, value in await spool.head()] == [b"second", b"third"]
        assert spool.set_aside == 1
        (now,) = await spool._store.run(lambda connection: connection.execute("PRAGMA user_version").fetchone())
    assert now == len(VERSIONS)


async def test_a_file_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="file version 99"):
        async with opened(path):
            pass
    assert path.read_bytes()[100:] == before[100:]


async def test_a_file_belongs_to_one_process(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    program = (
        "import asyncio, sys; from pathlib import Path; from schemas.publisher.store import Store\n"
        "asyncio.run(Store(Path(sys.argv[1])).open())"
    )
    async with opened(path):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(path), stderr=asyncio.subprocess.PIPE
        )
        _, said = await other.communicate()
    assert b"in use by another process" in said


async def test_a_place_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file.*spool\.db can't be opened"):
        async with opened(tmp_path / "file" / "spool.db"):
            pass
