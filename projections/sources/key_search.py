"""Finds the records of one key in the bytes that a broker hands out.

Looking for a few bytes is a hundred times faster than making records of all. So a batch in whose bytes, unpacked where
it is compressed, the key is nowhere is passed over as a whole, its checksum apart.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import calc_crc32c
from cramjam import DecompressionError

from schemas.kafka.log_reading import accept_any_header_name, bare_records, records_of_key
from schemas.records import BareRecord

_HEADER: Final = struct.Struct(">qi4xBIhi8x8x8x2x4x4x")
"""Of a batch: base offset, length, format, checksum, attributes, and its last offset less the first. Records follow."""
_UNCOUNTED: Final = 12
"""Bytes of a batch before those that its length counts: base offset and length."""
_CHECKED: Final = 21
"""From there on a batch is under its checksum."""
_FORMAT: Final = 2
"""The present one. Those before have another header, and nobody writes them any more."""
_COMPRESSION: Final = 0b111
_TRANSACTION: Final = 0b11_0000
"""Attributes of a batch that is part of a transaction, or the marker of its end."""
_UNPACK: Final[Mapping[int, Callable[[Any], bytes]]] = {
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}
READ_COMMITTED: Final = 1


class Found(NamedTuple):
    """The key's records, and the offset that comes after all that was looked through."""

    records: list[BareRecord]
    next_offset: int


def find(
    fetched: bytes | bytearray, begin: int, upto: int, key: bytes, offset: int, aborted: Sequence[tuple[int, int]]
) -> Found:
    """Look through the batches in the bytes from `begin` up to `upto`, the last of which may be cut off.

    `offset` is the one that was asked for: what lies before it in its batch is not wanted. `aborted` are producer and
    first offset of transactions that came to nothing; only committed records are found. Raises CorruptRecordException
    for a batch that is not what its checksum says.
    """
    # As little as possible a batch: on a quiet topic every record is one.
    content, read_header = memoryview(fetched), _HEADER.unpack_from
    records: list[BareRecord] = []
    next_offset, at = offset, begin
    # Where the key's bytes are next, at the end or behind it where they are nowhere.
    place = begin - 1
    while upto - at >= _HEADER.size:
        base, length, format_, checksum, attributes, last = read_header(fetched, at)
        if format_ != _FORMAT or attributes & _TRANSACTION:
            rest = _find_by_aiokafka(content[at:upto], key, next_offset, aborted)
            return Found(records + rest.records, rest.next_offset)
        end = at + _UNCOUNTED + length
        if end > upto:
            break
        if end < at + _HEADER.size or calc_crc32c(content[at + _CHECKED : end]) != checksum:
            raise CorruptRecordException(f"the checksum of the batch at offset {base} is wrong")
        if place < at and (place := fetched.find(key, at, upto)) < 0:
            place = upto
        if attributes & _COMPRESSION:
            is_there = key in _unpacked(attributes & _COMPRESSION, content[at + _HEADER.size : end], base)
        else:
            is_there = place + len(key) <= end
        if is_there:
            records += [found for found in records_of_key(content[at:end], key) if found.offset >= offset]
        next_offset = base + last + 1
        at = end
    if at == begin < upto:
        return _find_by_aiokafka(content[at:upto], key, offset, aborted)
    return Found(records, max(offset, next_offset))


def _unpacked(compression: int, packed: memoryview, base: int) -> bytes:
    try:
        return _UNPACK[compression](packed.tobytes())
    except (KeyError, EOFError, OSError, ValueError, zlib.error, DecompressionError) as error:
        raise CorruptRecordException(f"the batch at offset {base} can't be unpacked: {error}") from None


def _find_by_aiokafka(content: memoryview, key: bytes, offset: int, aborted: Sequence[tuple[int, int]]) -> Found:
    """As `find`, slower: whatever the format, and whatever became of transactions."""
    accept_any_header_name()
    batches = fetcher.MemoryRecords(content.tobytes())
    nowhere = TopicPartition("", 0)
    records = fetcher.PartitionRecords(nowhere, batches, aborted, offset, bare_records, None, True, READ_COMMITTED)
    found = [record for record in records if record.key == key and record.offset >= offset]
    return Found(found, max(offset, records.next_fetch_offset))
