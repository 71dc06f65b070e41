"""What makes an event the same event, as it is stored for ever; and what a batch keeps of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.applied import AppliedEvents, Hour, Mark, Marker, identity_digest, pack
from projections.batch import Arrival
from projections.checkpoints import DIGEST_BYTES, record_digest
from tests.support.projecting import START, grant

TIMES = st.datetimes(datetime(2013, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))
IDENTITIES = st.tuples(st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=5), TIMES)


def arrival(number: int, *, offset: int = 0, partition: int = 0, minutes: int = 0) -> Arrival:
    event = grant(1, number, time=START + timedelta(minutes=minutes))
    return Arrival(event, "bot.events", partition, offset, START)


def marks(arrivals: list[Arrival]) -> list[Mark]:
    markers = {partition: Marker(partition) for partition in (0, 1)}
    return [markers[arrival.partition](cast("Any", arrival.event)) for arrival in arrivals]


def test_the_encoding_never_changes() -> None:
    digest = identity_digest("/bots/demo", "01JD", datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC))
    assert digest.hex() == "a99da9511f40a0d4d4e9f85befe6261d"


@given(IDENTITIES, IDENTITIES)
def test_equal_digests_mean_equal_identities(one: tuple[str, str, datetime], other: tuple[str, str, datetime]) -> None:
    assert (identity_digest(*one) == identity_digest(*other)) == (one == other)


def test_lengths_keep_source_and_id_apart() -> None:
    assert identity_digest("ab", "c", START) != identity_digest("a", "bc", START)


@given(TIMES)
def test_the_same_moment_in_another_zone_is_the_same(time: datetime) -> None:
    moved = time.astimezone(timezone(timedelta(hours=3)))
    assert identity_digest("s", "i", moved) == identity_digest("s", "i", time)


def test_a_mark_is_the_events_hour_and_its_digest() -> None:
    arrivals = [arrival(1), arrival(2, minutes=59), arrival(3, minutes=60, partition=1)]
    hour = int(START.timestamp()) // 3600
    digests = [identity_digest(a.event.source, a.event.id, a.event.time) for a in arrivals]
    hours = [Hour(0, hour), Hour(0, hour), Hour(1, hour + 1)]
    assert marks(arrivals) == list(map(Mark, hours, digests))


def test_every_microsecond_counts() -> None:
    times = [datetime(2026, 1, 1, 0, 0, 0, n, tzinfo=UTC) for n in (0, 1, 499_999, 500_000, 999_999)]
    assert len({identity_digest("s", "i", time) for time in times}) == len(times)


def test_packed_by_partition_and_hour_with_the_first_offset() -> None:
    arrivals = [
        arrival(1, offset=10),
        arrival(2, offset=11, minutes=59),
        arrival(3, offset=12, minutes=60),
        arrival(4, offset=4, partition=1),
    ]
    hour = int(START.timestamp()) // 3600
    hours = [Hour(0, hour), Hour(0, hour), Hour(0, hour + 1), Hour(1, hour)]
    digests = [bytes([n]) * DIGEST_BYTES for n in range(4)]
    assert pack(zip(arrivals, map(Mark, hours, digests), strict=True)) == {
        Hour(0, hour): (10, digests[0] + digests[1]),
        Hour(0, hour + 1): (12, digests[2]),
        Hour(1, hour): (4, digests[3]),
    }
    assert Hour(0, hour).start == START


class NoTable:
    """A table of applied events that is empty; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def fetch(self, statement: str, partitions: list[int], hours: list[datetime]) -> list[Any]:
        self.asked.append(len(hours))
        return []


async def remember(memory: AppliedEvents, table: Any, arrivals: list[Arrival]) -> int:
    sifted = await memory.sift(table, arrivals, marks(arrivals))
    memory.committed(pack(zip(sifted.arrivals, sifted.marks, strict=True)))
    return len(sifted.arrivals)


async def test_recent_hours_are_not_read_again() -> None:
    memory, table = AppliedEvents(), NoTable()
    assert await remember(memory, table, [arrival(n) for n in range(5)]) == 5
    assert await remember(memory, table, [arrival(n) for n in range(7)]) == 2
    assert table.asked == [1]
    memory.forget()
    await remember(memory, table, [arrival(9)])
    assert table.asked == [1, 1]


async def test_memory_is_bounded_and_the_oldest_hour_goes_first() -> None:
    memory, table = AppliedEvents(capacity=10), NoTable()
    for hour in range(4):
        await remember(memory, table, [arrival(n, minutes=60 * hour) for n in range(4)])
    table.asked.clear()
    await remember(memory, table, [arrival(100, minutes=60 * 3)])
    assert table.asked == []
    await remember(memory, table, [arrival(100, minutes=0)])
    assert table.asked == [1]


class FullTable(NoTable):
    """Every hour holds a thousand digests."""

    async def fetch(self, statement: str, partitions: list[int], hours: list[datetime]) -> list[Any]:
        digests = b"".join(b"%016d" % n for n in range(1000))
        await super().fetch(statement, partitions, hours)
        return [
            {"partition": partition, "hour": hour, "digests": digests}
            for partition, hour in zip(partitions, hours, strict=True)
        ]


async def test_a_storm_of_old_hours_is_read_in_parts() -> None:
    memory, table = AppliedEvents(), FullTable()
    assert await remember(memory, table, [arrival(n, minutes=60 * n) for n in range(200)]) == 200
    assert table.asked == [64, 64, 64, 8]


async def test_of_hours_with_few_events_more_are_read_at_once() -> None:
    memory, table = AppliedEvents(), NoTable()
    assert await remember(memory, table, [arrival(n, minutes=60 * n) for n in range(200)]) == 200
    assert table.asked == [64, 128, 8]


class Record:
    topic, partition, offset = "bot.events", 0, 7
    headers: tuple[tuple[str, bytes], ...] = ()

    def __init__(self, key: bytes | None, value: bytes | None, timestamp: int = 0) -> None:
        self.key, self.value, self.timestamp = key, value, timestamp


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Record(b"a", b"bc"), Record(b"ab", b"c")),
        (Record(None, b"a"), Record(b"", b"a")),
        (Record(b"a", None), Record(b"a", b"")),
        (Record(b"a", b"b", 1), Record(b"a", b"b", 2)),
    ],
)
def test_a_record_digest_names_one_record(one: Record, other: Record) -> None:
    assert len(record_digest(one)) == DIGEST_BYTES
    assert record_digest(one) != record_digest(other)
