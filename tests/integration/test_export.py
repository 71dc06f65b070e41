"""Exports: every record comes back byte for byte, a day appears whole or not at all, and damage is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from deploy.kafka import admin, partition_counts
from deploy.local import StackInfo
from projections.checkpoints import Place
from projections.generations.reading import Origin
from projections.sources import key_fetch
from projections.sources.archive import DamagedExport, days_of
from projections.sources.broker import BrokerAddress, BrokerSource
from projections.sources.export import check, export_topic
from projections.sources.exported import ExportAddress
from projections.sources.source import LogSource
from schemas.errors import ConfigurationError
from schemas.topics import Topics
from tests.support.services import eventually

FIRST = datetime(2026, 1, 2, 23, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def source(stack: StackInfo) -> AsyncIterator[BrokerSource]:
    async with BrokerAddress(stack.bootstrap_servers).open() as opened:
        yield opened


@pytest.fixture
async def topic(stack: StackInfo, topics: Topics) -> str:
    name = f"{topics.prefix}by-the-clock-of-the-test"
    await make(stack, name, 2)
    return name


async def make(stack: StackInfo, name: str, partitions: int) -> None:
    """Make a topic whose records keep the time that they are sent with."""
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    async with admin(stack.bootstrap_servers) as client:
        await client.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])

    async def is_there() -> bool:
        async with admin(stack.bootstrap_servers) as client:
            return await partition_counts(client, [name]) == {name: partitions}

    await eventually(is_there, "the topic is there")


async def make_anew(stack: StackInfo, name: str, partitions: int) -> None:
    """Delete a topic, and make an empty one of its name."""
    async with admin(stack.bootstrap_servers) as client:
        await client.delete_topics([name])

    async def is_gone() -> bool:
        async with admin(stack.bootstrap_servers) as client:
            return name not in await client.list_topics()

    await eventually(is_gone, "the topic is gone")
    await make(stack, name, partitions)


async def fill(stack: StackInfo, topic: str, hours: range, per_hour: int = 3, partitions: int = 2) -> None:
    """Records by a clock of the test's, on each of the partitions, some of them no text at all."""
    odd: list[tuple[bytes | None, bytes | None, list[tuple[str, Any]]]] = [
        (b"7", b'{"a": 1}', [("content-type", b"x")]),
        (None, b"\xff\x00\n\r not UTF-8", []),
        (b"\xfe", None, [("h", b"\x80"), ("h", b"line\nline"), ("n", None)]),
        ("Ключ".encode(), "\u2028 line \x85 separators".encode(), []),
    ]
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers, acks="all") as producer:
        for hour in hours:
            for number in range(per_hour):
                key, value, headers = odd[(hour + number) % len(odd)]
                moment = int((FIRST + hour * HOUR).timestamp() * 1000) + number
                await producer.send(
                    topic, value, key, partition=(hour + number) % partitions, timestamp_ms=moment, headers=headers
                )


async def everything(source: LogSource, topic: str, key: bytes | None = None) -> list[tuple[Any, ...]]:
    ends = {number: bounds.end for number, bounds in (await source.bounds(topic)).items()}
    found: list[tuple[Any, ...]] = []
    async for partition, records in source.read(topic, {}, ends, key):
        found += [
            (partition, r.offset, r.timestamp, r.key, r.value, [(name, value) for name, value in r.headers])
            for r in records
        ]
    return sorted(found, key=lambda record: record[:2])


async def read_live(stack: StackInfo, topic: str, key: bytes, ends: dict[int, int]) -> list[tuple[int, int]]:
    """The places of one key's records as a rebuild of one user reads them."""
    async with Origin(stack.bootstrap_servers).reader(key) as reader:
        places = [Place(topic, number) for number in ends]
        reader.assign(dict.fromkeys(places, 0))
        found: list[tuple[int, int]] = []
        while any([await reader.position(place) < ends[place.partition] for place in places]):
            for place, records in (await reader.fetch(1_000, 0.5)).items():
                found += [(place.partition, record.offset) for record in records]
                assert all(record.key == key for record in records)
        return sorted(found)


def stats(folder: Path) -> dict[Path, Any]:
    """What every file and folder is like, but for when it was looked at."""
    return {path: (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


async def test_one_keys_records_are_the_same_as_among_all(
    stack: StackInfo, topic: str, source: BrokerSource, tmp_path: Path
) -> None:
    """Batches without the key are passed over unread: plain and compressed ones."""
    await fill(stack, topic, range(20))
    for codec in (None, "gzip"):
        async with AIOKafkaProducer(
            bootstrap_servers=stack.bootstrap_servers, acks="all", compression_type=codec, max_batch_size=512
        ) as producer:
            for number in range(200):
                key = b"%d" % (number % 40)
                # Some batches have the key's bytes in a value alone, many have them nowhere.
                await producer.send(topic, b"7" if number % 50 == 3 else b"x" * 100, key, partition=number % 2)
    await export_topic(source, topic, tmp_path, now=FIRST + timedelta(days=3650), with_open_day=True)
    whole = await everything(source, topic)
    ends = {number: bounds.end for number, bounds in (await source.bounds(topic)).items()}
    async with ExportAddress(tmp_path).open() as exported:
        for key in (b"7", b"17", b"\xfe", "Ключ".encode(), b"nobody"):
            wanted = [record for record in whole if record[3] == key]
            assert bool(wanted) == (key != b"nobody")
            assert await everything(source, topic, key) == wanted
            assert await everything(exported, topic, key) == wanted
            assert await read_live(stack, topic, key, ends) == [record[:2] for record in wanted]
    assert await everything(source, topic) == whole, "one key's reading ends with it"


async def test_one_keys_records_among_transactions_and_records_larger_than_a_fetch(
    stack: StackInfo, topic: str, source: BrokerSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers, transactional_id=topic) as producer:
        for number in range(9):
            # On one partition the log ends with a marker, on the other behind a transaction that came to nothing.
            await producer.begin_transaction()
            for key in (b"7", b"8"):
                await producer.send(topic, b"7" * (3_000 if number == 4 else 10), key, partition=number % 2)
            await (producer.abort_transaction if number % 3 else producer.commit_transaction)()
    whole = await everything(source, topic)
    assert len(whole) == 6
    told: list[tuple[int, int]] = []
    (day,) = await export_topic(
        source,
        topic,
        tmp_path,
        now=datetime.now(UTC),
        with_open_day=True,
        progress=lambda *done: told.append(done),
    )
    assert day.records == 6
    assert told == sorted(told)
    assert told[-1] == (27, 27), "a bar ends at its total, whatever offsets have no record"
    for size in (key_fetch.FETCH_BYTES, 400):
        monkeypatch.setattr(key_fetch, "FETCH_BYTES", size)
        for key in (b"7", b"8"):
            assert await everything(source, topic, key) == [record for record in whole if record[3] == key]
    async with ExportAddress(tmp_path).open() as exported:
        for log in (source, exported):
            for sought in (None, b"8"):
                passed: list[int] = []
                async for _ in log.read(topic, {1: 3}, {0: 11, 1: 7}, sought, passed.append):
                    pass
                assert (sum(passed), min(passed) >= 0) == (11 + 4, True)


async def test_days_come_back_byte_for_byte_and_are_written_once(
    stack: StackInfo, topic: str, source: BrokerSource, tmp_path: Path
) -> None:
    await fill(stack, topic, range(60))
    now = FIRST + 60 * HOUR
    written = await export_topic(source, topic, tmp_path, now=now)
    assert [(day.day, day.closed, day.records) for day in written] == [
        (date(2026, 1, 2), True, 3), (date(2026, 1, 3), True, 72), (date(2026, 1, 4), True, 72),
    ]  # fmt: skip
    before = stats(tmp_path)
    assert await export_topic(source, topic, tmp_path, now=now) == []
    assert stats(tmp_path) == before

    (today,) = await export_topic(source, topic, tmp_path, now=now, with_open_day=True)
    assert (today.day, today.closed, today.records) == (date(2026, 1, 5), False, 33)
    async with ExportAddress(tmp_path).open() as exported:
        assert await everything(exported, topic) == await everything(source, topic)

    # The log goes on: the day that was not over is written anew, once it is over for good.
    await fill(stack, topic, range(60, 80))
    (whole,) = await export_topic(source, topic, tmp_path, now=FIRST + 80 * HOUR)
    assert (whole.day, whole.closed, whole.records) == (date(2026, 1, 5), True, 72)
    async with ExportAddress(tmp_path, BrokerAddress(stack.bootstrap_servers)).open() as both:
        assert await everything(both, topic) == await everything(source, topic)
    assert check(tmp_path, [topic]) == (3 + 3 * 72, [])
    assert [path.name for path in (tmp_path / topic).glob(".*")] == []

    async with ExportAddress(tmp_path).open() as exported:
        async with aclosing(exported.read(topic, {0: 5}, {0: 9})) as reading:
            offsets = [record.offset async for _, records in reading for record in records]
        assert offsets == [5, 6, 7, 8]
        with pytest.raises(ConfigurationError, match="asked for"):
            await anext(exported.read(topic, {}, {0: 10_000}).__aiter__())


async def test_a_day_is_never_exchanged_for_one_of_another_log(stack: StackInfo, topic: str, tmp_path: Path) -> None:
    """Neither a day that is over nor the open one, when the topic was made anew, and may have grown further since."""
    cases = (
        (2, range(2), "goes up to"),
        (1, range(60), "has a partition 1"),
        (2, range(1, 90), rf"has another record than the log as {topic}/0/89"),
    )
    for number, (partitions, hours, fault) in enumerate(cases):
        await make_anew(stack, topic, 2)
        await fill(stack, topic, range(60))
        folders = {days: tmp_path / f"{number}-{days}" for days in ("open alone", "closed and open")}
        async with BrokerAddress(stack.bootstrap_servers).open() as source:
            for days, folder in folders.items():
                now = FIRST if days == "open alone" else FIRST + 60 * HOUR
                await export_topic(source, topic, folder, now=now, with_open_day=True)
                assert any(day.closed for day in days_of(folder, topic)) == (days != "open alone")
        before = stats(tmp_path)
        await make_anew(stack, topic, partitions)
        # With one partition less, the one that is left has more than before.
        await fill(stack, topic, hours, partitions=partitions)
        async with BrokerAddress(stack.bootstrap_servers).open() as source:
            for folder in folders.values():
                for with_open_day in (False, True):
                    with pytest.raises(ConfigurationError, match=f"{fault}.*is of another log") as refused:
                        await export_topic(source, topic, folder, now=FIRST + 60 * HOUR, with_open_day=with_open_day)
                    assert str(folder) in str(refused.value)
                    assert "\n" not in str(refused.value)
        if number == 2:
            async with ExportAddress(folders["closed and open"], BrokerAddress(stack.bootstrap_servers)).open() as both:
                with pytest.raises(ConfigurationError, match=f"{fault}.*is of another log"):
                    await everything(both, topic)
        assert stats(tmp_path) == before


async def test_damage_is_named_before_a_wrong_byte_is_handed_out(
    stack: StackInfo, topic: str, source: BrokerSource, tmp_path: Path
) -> None:
    await fill(stack, topic, range(60))
    await export_topic(source, topic, tmp_path, now=FIRST + 60 * HOUR)
    whole, _ = check(tmp_path, [topic])
    middle = tmp_path / topic / "2026-01-03"
    file = middle / "1.ndjson.zst"
    before = file.read_bytes()
    for at in range(0, len(before), 17):
        file.write_bytes(before[:at] + bytes([before[at] ^ 4]) + before[at + 1 :])
        count, damages = check(tmp_path, [topic])
        assert count == whole - 36
        assert [str(file) in damage for damage in damages] == [True]
    file.write_bytes(before[:-1])
    async with ExportAddress(tmp_path).open() as exported:
        with pytest.raises(DamagedExport, match=str(file)):
            await everything(exported, topic)
    file.write_bytes(before)

    # The last file is what is compared with the log: a wrong byte in it does not make the export another log's.
    last = tmp_path / topic / "2026-01-04" / "1.ndjson.zst"
    content = last.read_bytes()
    for at in range(0, len(content), 17):
        last.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(DamagedExport, match=f"{last} is damaged"):
            await export_topic(source, topic, tmp_path, now=FIRST + 60 * HOUR)
        with pytest.raises(DamagedExport, match=f"{last} is damaged"):
            async with ExportAddress(tmp_path, BrokerAddress(stack.bootstrap_servers)).open() as both:
                await both.bounds(topic)
    last.write_bytes(content)
    assert check(tmp_path, [topic]) == (whole, [])

    middle.rename(tmp_path / "elsewhere")
    with pytest.raises(DamagedExport, match="a day in between is missing"):
        days_of(tmp_path, topic)


async def test_an_export_that_was_killed_leaves_nothing_behind(
    stack: StackInfo, topic: str, source: BrokerSource, tmp_path: Path
) -> None:
    await fill(stack, topic, range(4))

    class KilledError(Exception):
        pass

    def kill(done: int, total: int) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        await export_topic(source, topic, tmp_path, now=FIRST + 60 * HOUR, progress=kill)
    assert days_of(tmp_path, topic) == []
    (tmp_path / topic / ".2026-01-02.999").mkdir()  # what a kill -9 leaves
    assert len(await export_topic(source, topic, tmp_path, now=FIRST + 60 * HOUR)) == 2
    assert check(tmp_path, [topic]) == (12, [])
    assert sorted(path.name for path in (tmp_path / topic).iterdir()) == ["2026-01-02", "2026-01-03"]
