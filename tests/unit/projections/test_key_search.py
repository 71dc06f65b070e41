"""Fetched bytes of every format and compression: one key's records are found, and no others."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from projections.sources.key_search import find
from tests.support.raw_headers import batch_with_names

KEYS = [b"0", b"1", b"2", b"3", None, b"2", b"22"]
SOUGHT = [*filter(None, dict.fromkeys(KEYS)), b"of 2", b"nobody"]
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
TRANSACTIONAL, CONTROL = 0b1_0000, 0b10_0000


def batch(format_: int = 2, compression: int = 0, keys: list[bytes | None] = KEYS) -> bytes:
    """One record of each of the keys, at the offsets from 0 on."""
    if format_ < 2:
        builder: Any = LegacyRecordBatchBuilder(format_, compression, 1 << 20)
        for offset, key in enumerate(keys):
            builder.append(offset, timestamp=1, key=key, value=b"of 2")
    else:
        builder = DefaultRecordBatchBuilder(format_, compression, False, -1, -1, -1, 1 << 20)
        for offset, key in enumerate(keys):
            builder.append(offset, timestamp=1, key=key, value=b"of 2", headers=[])
    content = bytearray(builder.build())
    if format_ < 2 and compression:
        # The message around the others has the offset of the last one: a broker writes it there.
        struct.pack_into(">q", content, 0, len(keys) - 1)
    return bytes(content)


def at(base: int, content: bytes, *, attributes: int = 0, producer: int = -1, last: int | None = None) -> bytes:
    """A batch of the present format at an offset, as a broker puts it there; `last` where compaction has left a gap."""
    changed = bytearray(content)
    struct.pack_into(">q", changed, 0, base)
    (had,) = struct.unpack_from(">h", changed, 21)
    struct.pack_into(">h", changed, 21, had | attributes)
    if last is not None:
        struct.pack_into(">i", changed, 23, last - base)
    struct.pack_into(">q", changed, 43, producer)
    struct.pack_into(">I", changed, 17, calc_crc32c(bytes(changed[21:])))
    return bytes(changed)


def marker(base: int, kind: Any, producer: int) -> bytes:
    """The end of a transaction."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    builder.append(0, timestamp=1, key=struct.pack(">hh", 0, kind.type_), value=b"\0" * 6, headers=[])
    return at(base, builder.build(), attributes=TRANSACTIONAL | CONTROL, producer=producer)


def found(fetched: bytes, key: bytes, offset: int = 0, aborted: list[tuple[int, int]] | None = None) -> Any:
    """Offsets of what is found, and the one that comes next; whatever else lies around the bytes in the buffer."""
    buffer = bytearray(b"2before2" + fetched + b"2after2")
    records, next_offset = find(buffer, 8, 8 + len(fetched), key, offset, aborted or [])
    assert all(record.key == key for record in records)
    return [record.offset for record in records], next_offset


@pytest.mark.parametrize(
    ("format_", "compression"),
    [(0, 0), (0, GZIP), (1, 0), (1, GZIP), (2, 0), (2, GZIP), (2, SNAPPY), (2, LZ4), (2, ZSTD)],
)
def test_one_keys_records_whatever_the_batchs_format(format_: int, compression: int) -> None:
    fetched = batch(format_, compression)
    for key in SOUGHT:
        wanted = [offset for offset, other in enumerate(KEYS) if other == key]
        assert found(fetched, key) == (wanted, len(KEYS))
        # What lies before the offset that was asked for, in its batch, is not wanted.
        assert found(fetched, key, 4) == ([offset for offset in wanted if offset >= 4], len(KEYS))


def test_batches_in_a_row_with_gaps_and_one_that_is_cut_off() -> None:
    others: list[bytes | None] = [b"5", b"6"]
    # The key's bytes lie across the border of the last two: the checksum that the one ends with, the other's offset.
    row = [
        at(0, batch(keys=others)),
        at(10, batch(compression=ZSTD)),
        at(17, batch(keys=others), last=40),
        at(50, batch()),
        at(60, batch(compression=GZIP, keys=others)),
    ]
    whole = b"".join(row)
    assert found(whole, b"2") == ([12, 15, 52, 55], 62)
    assert found(whole, b"6") == ([1, 18, 61], 62)
    assert found(b"".join(row[:3]), b"2") == ([12, 15], 41)
    for length in (1, 12, 30, 61, len(row[4]) - 1):
        assert found(whole[: len(whole) - len(row[4]) + length], b"2") == ([12, 15, 52, 55], 57)
    assert found(b"", b"2", 7) == ([], 7)
    assert found(row[0][:40], b"5", 7) == ([], 7)


def test_only_committed_records() -> None:
    row = [
        at(0, batch()),
        at(10, batch(), attributes=TRANSACTIONAL, producer=1),
        at(20, batch(compression=ZSTD), attributes=TRANSACTIONAL, producer=2),
        marker(30, ABORT_MARKER, 1),
        marker(31, COMMIT_MARKER, 2),
        at(32, batch(), attributes=TRANSACTIONAL, producer=1),
        marker(39, COMMIT_MARKER, 1),
    ]
    assert found(b"".join(row), b"2", aborted=[(1, 10)]) == ([2, 5, 22, 25, 34, 37], 40)
    assert found(b"".join(row), b"3", aborted=[(1, 10), (2, 20)]) == ([3, 35], 40)
    assert found(row[-1], b"\0\0", 39) == ([], 40)


@pytest.mark.parametrize("compression", [0, GZIP])
def test_any_header_name(compression: int) -> None:
    fetched = batch_with_names([(b"2", b"x", b"\xff\xfe"), (b"3", b"of 2", b"good")], compression)
    records, next_offset = find(fetched, 0, len(fetched), b"2", 0, [])
    assert [(record.offset, record.headers) for record in records] == [(0, [("\udcff\udcfe", b"h")])]
    assert next_offset == 2


@pytest.mark.parametrize("compression", [0, ZSTD])
def test_a_batch_that_is_damaged_is_never_passed_over(compression: int) -> None:
    good = batch(compression=compression)
    for place in range(21, len(good)):
        damaged = good[:place] + bytes([good[place] ^ 0b1000]) + good[place + 1 :]
        with pytest.raises(CorruptRecordException, match="offset 7"):
            found(at(0, good) + struct.pack(">q", 7) + damaged[8:], b"nobody")


def test_what_no_broker_would_keep_is_called_corrupt() -> None:
    without_end = struct.pack(">qi4xBIh", 0, -12, 2, 0, 0) + bytes(38)
    compressed = bytearray(batch(compression=GZIP))
    for attributes, at_byte in ((GZIP, 61), (ZSTD, 0), (7, 0)):
        changed = bytearray(compressed)
        struct.pack_into(">h", changed, 21, attributes)
        if at_byte:
            changed[at_byte] ^= 0xFF
        with pytest.raises(CorruptRecordException, match="can't be unpacked"):
            find(at(0, bytes(changed)), 0, len(changed), b"2", 0, ())
    with pytest.raises(CorruptRecordException):
        find(without_end, 0, len(without_end), b"2", 0, ())


def test_a_message_of_an_old_format_may_be_shorter_than_a_header() -> None:
    short = batch(0, keys=[b"2"])
    assert len(short) < 61
    assert [record.key for record in find(short, 0, len(short), b"2", 0, ()).records] == [b"2"]
