"""Reading the log with aiokafka, whatever is on it, and fast.

A broker takes any bytes as a header's name; aiokafka's parser raises on what is not UTF-8, and the partition would
stand still for ever. Every reader of the log calls `accept_any_header_name` once: from then on such a name comes with
its wrong bytes as lone surrogates, as file names do in Python, and the rule of what is valid refuses its record.

A consumer whose key_deserializer is `bare_records` hands out records as the parser makes them: offset, timestamp, key,
value and headers; whoever fetched them knows topic and partition. aiokafka's own records are frozen dataclasses, and
making one costs as much as parsing it, a tenth of all that streams does with an event.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH: Final = struct.Struct(">8xi")
"""Of a batch: what follows its base offset and this length."""


def accept_any_header_name() -> None:
    """Let every consumer of this process hand out records with any header name, and bare ones where asked for."""
    fetcher.MemoryRecords = _Batches
    fetcher.PartitionRecords = _PartitionRecords


def bare_records(key: bytes | None) -> bytes | None:
    """Mark a consumer, as its key_deserializer: it hands out bare records."""
    return key


def records_of_key(batch: memoryview, key: bytes) -> list[Any]:
    """Return the bare records of one key out of a batch, of the present format, with its header."""
    try:
        # One that is let go at once is neither counted nor looked through by the garbage collector.
        return [record for record in DefaultRecordBatch(batch) if record.key == key]
    except UnicodeDecodeError:
        return [record for record in _AnyNames(batch) if record.key == key]


class _PartitionRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, tp: Any, records: Any, aborted: Any, offset: int, key_deserializer: Any, *others: Any) -> None:
        super().__init__(tp, records, aborted, offset, key_deserializer, *others)
        self._bare = key_deserializer is bare_records

    def __iter__(self) -> Iterator[Any]:
        records: Iterator[Any] = self._records_iterator
        return records

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return record if self._bare else super()._consumer_record(tp, record)


class _Batches:
    """aiokafka's reader of a fetched partition's bytes, batch by batch."""

    def __init__(self, fetched: bytes) -> None:
        self._batches = MemoryRecords(fetched)
        self._fetched = fetched
        self._at = 0

    def size_in_bytes(self) -> int:
        return int(self._batches.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        batch = self._batches.next_batch()
        if batch is None:
            return None
        start = self._at
        self._at += _LENGTH.size + _LENGTH.unpack_from(self._fetched, start)[0]
        # The formats before this one had no headers.
        if not isinstance(batch, DefaultRecordBatch):
            return batch
        return _Batch(batch, memoryview(self._fetched)[start : self._at])


class _Batch:
    """A batch as aiokafka reads it; where it can't, read again by its slower reader in Python."""

    def __init__(self, batch: Any, content: memoryview) -> None:
        self._batch = batch
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(list(_AnyNames(self._content)))

    def __next__(self) -> Any:
        return next(self._batch)  # asked of control batches alone: their one record has no headers


class _AnyNames(_DefaultRecordBatchPy):  # type: ignore[misc]  # marked final, to say that nobody else needs it
    """aiokafka's parser in Python, on a buffer whose slices decode any bytes."""

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _Buffer(self._buffer)


class _Buffer(bytearray):
    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Buffer(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)
