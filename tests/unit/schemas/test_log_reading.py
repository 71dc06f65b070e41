"""Fetched bytes of every format: a reader of one key gets that key's records and no others."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from schemas.kafka.log_reading import OnlyKey, accept_any_header_name, bare_records

KEYS = [b"0", b"1", b"2", b"3", None, b"2", b"22"]
_READ_COMMITTED = 1


def batch(format_: int, compression: int) -> bytes:
    """One record of each of the keys, at the offsets from 0 on."""
    if format_ < 2:
        builder: Any = LegacyRecordBatchBuilder(format_, compression, 1 << 20)
        for offset, key in enumerate(KEYS):
            builder.append(offset, timestamp=1, key=key, value=b"of 2")
    else:
        builder = DefaultRecordBatchBuilder(format_, compression, False, -1, -1, -1, 1 << 20)
        for offset, key in enumerate(KEYS):
            builder.append(offset, timestamp=1, key=key, value=b"of 2", headers=[])
    content = bytearray(builder.build())
    if format_ < 2 and compression:
        # The message around the others has the offset of the last one: a broker writes it there.
        struct.pack_into(">q", content, 0, len(KEYS) - 1)
    return bytes(content)


def handed_out(fetched: bytes, mark: Any) -> tuple[list[tuple[int, bytes | None]], int]:
    """Offsets and keys of what a consumer with this key_deserializer gets, and where it stands then."""
    accept_any_header_name()
    batches: Any = fetcher.MemoryRecords(fetched)
    records = fetcher.PartitionRecords(TopicPartition("t", 0), batches, [], 0, mark, None, True, _READ_COMMITTED)
    return [(record.offset, record.key) for record in records], records.next_fetch_offset


@pytest.mark.parametrize("compression", [0, 1])
@pytest.mark.parametrize("format_", [0, 1, 2])
def test_one_keys_records_whatever_the_batchs_format(format_: int, compression: int) -> None:
    fetched = batch(format_, compression)
    whole = list(enumerate(KEYS))
    assert handed_out(fetched, bare_records) == (whole, len(KEYS))
    assert handed_out(fetched, OnlyKey()) == (whole, len(KEYS))
    for key in (b"2", b"3", b"of 2", b"nobody"):
        found, position = handed_out(fetched, OnlyKey(key))
        assert found == [(offset, other) for offset, other in whole if other == key]
        assert position == len(KEYS)
