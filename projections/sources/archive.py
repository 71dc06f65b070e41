"""The form of an export: one folder a topic and day of the broker's clock, one file a partition, one manifest a day.

    <folder>/<topic>/<YYYY-MM-DD>/manifest.json
    <folder>/<topic>/<YYYY-MM-DD>/<partition>.ndjson.zst

A file is zstd frames one after the other, together one JSON object a line: offset, timestamp (the broker's, in
milliseconds since 1970), key, value, headers. Bytes that are UTF-8 stand there as text, others as {"base64": "..."};
every record comes back byte for byte. The manifest has of every partition the range of offsets and the number of
records, and of every file its SHA-256 and the lengths of its frames.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import cramjam
import orjson

from schemas.errors import ConfigurationError
from schemas.records import LogRecord

VERSION: Final = 1
MANIFEST: Final = "manifest.json"


class ArchivedRecord(NamedTuple):
    """A record of the log, read from an export."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Part:
    """One partition's part of a day: all records from `first_offset` up to, not including, `next_offset`."""

    partition: int
    first_offset: int
    next_offset: int
    records: int
    sha256: str
    frames: tuple[int, ...]
    """The lengths of the file's frames in bytes."""

    @property
    def file(self) -> str:
        """The name of the part's file."""
        return f"{self.partition}.ndjson.zst"


@dataclass(frozen=True, slots=True)
class Day:
    """A topic's records of one day of the broker's clock. One that is not closed is written anew by the next export."""

    topic: str
    day: date
    closed: bool
    parts: tuple[Part, ...]

    @property
    def records(self) -> int:
        """How many records the day has."""
        return sum(part.records for part in self.parts)

    def encode(self) -> bytes:
        """Return the manifest."""
        content = {
            "version": VERSION,
            "topic": self.topic,
            "day": self.day.isoformat(),
            "closed": self.closed,
            "records": self.records,
            "partitions": [
                {
                    "partition": part.partition,
                    "file": part.file,
                    "first_offset": part.first_offset,
                    "next_offset": part.next_offset,
                    "records": part.records,
                    "sha256": part.sha256,
                    "frames": part.frames,
                }
                for part in self.parts
            ],
        }
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class DamagedExport(ConfigurationError):  # noqa: N818
    """A file of an export is not what its manifest says."""


def read_day(folder: Path) -> Day:
    """Read a day's manifest. Raises DamagedExport, naming the file, for one that can't be read."""
    path = folder / MANIFEST
    try:
        content = orjson.loads(path.read_bytes())
        if content["version"] != VERSION:
            raise DamagedExport(f"{path}: a manifest of version {content['version']}, which this code can't read")
        parts = tuple(
            Part(p["partition"], p["first_offset"], p["next_offset"], p["records"], p["sha256"], tuple(p["frames"]))
            for p in content["partitions"]
        )
        return Day(content["topic"], date.fromisoformat(content["day"]), content["closed"], parts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedExport(f"{path}: no manifest of an export ({type(error).__name__}: {error})") from None


def days_of(folder: Path, topic: str) -> list[Day]:
    """Return a topic's exported days in order; each partition's offsets follow on each other without a gap.

    Raises ConfigurationError for a folder without the topic, DamagedExport for a day that is missing in between.
    """
    place = folder / topic
    if not place.is_dir():
        raise ConfigurationError(f"{folder} is no export of {topic}: there is no folder {topic} in it")
    days = [read_day(path) for path in sorted(place.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    expected: dict[int, int] = {}
    for day in days:
        for part in day.parts:
            if part.first_offset != expected.get(part.partition, part.first_offset):
                raise DamagedExport(
                    f"{place / day.day.isoformat()}: partition {part.partition} begins at {part.first_offset:,}, but "
                    f"the day before ends at {expected[part.partition]:,}: a day in between is missing"
                )
            expected[part.partition] = part.next_offset
    return days


def encode_record(record: LogRecord) -> bytes:
    """Return a record as a line."""
    return orjson.dumps(
        {
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": _text(record.key),
            "value": _text(record.value),
            "headers": [[_text(name.encode(errors="surrogateescape")), _text(value)] for name, value in record.headers],
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def records_of(folder: Path, topic: str, part: Part, key: bytes | None = None) -> Iterator[list[ArchivedRecord]]:
    """Yield a part's records, frame by frame, those of one key where there is one.

    Raises DamagedExport, naming the file, before a wrong byte is out.
    """
    path = folder / part.file
    # An export is written by one encoder, so that a line of that key has these bytes.
    mark = None if key is None else b'"key":' + orjson.dumps(_text(key)) + b","
    count = 0
    try:
        with _opened_whole(path, part) as file:
            for length in part.frames:
                lines = bytes(cramjam.zstd.decompress(file.read(length))).splitlines()
                count += len(lines)
                if mark is not None:
                    lines = [line for line in lines if mark in line]
                records = [_record(topic, part.partition, orjson.loads(line)) for line in lines]
                yield records if key is None else [record for record in records if record.key == key]
    except (OSError, ValueError, KeyError, TypeError, cramjam.DecompressionError) as error:
        raise DamagedExport(f"{path} is damaged: {type(error).__name__}: {error}") from None
    if count != part.records:
        raise DamagedExport(f"{path} is damaged: {count:,} records, {part.records:,} by the manifest")


def last_record(folder: Path, topic: str, part: Part) -> ArchivedRecord | None:
    """Return a part's last record, None where it has none.

    Raises DamagedExport, naming the file, wherever in the file a wrong byte is.
    """
    if not part.records:
        return None
    path = folder / part.file
    try:
        with _opened_whole(path, part) as file:
            file.seek(sum(part.frames[:-1]))
            lines = bytes(cramjam.zstd.decompress(file.read(part.frames[-1]))).splitlines()
        return _record(topic, part.partition, orjson.loads(lines[-1]))
    except (OSError, ValueError, LookupError, TypeError, cramjam.DecompressionError) as error:
        raise DamagedExport(f"{path} is damaged: {type(error).__name__}: {error}") from None


@contextmanager
def _opened_whole(path: Path, part: Part) -> Iterator[BinaryIO]:
    """The part's file at its beginning, once its SHA-256 is found to be the manifest's."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != part.sha256:
            raise DamagedExport(f"{path} is damaged: its SHA-256 is not the manifest's")
        file.seek(0)
        yield file


def _record(topic: str, partition: int, line: dict[str, Any]) -> ArchivedRecord:
    # Null is a legal header value in Kafka, which the type of a record does not say.
    headers: Any = [
        ((_bytes(name) or b"").decode(errors="surrogateescape"), _bytes(value)) for name, value in line["headers"]
    ]
    key, value = _bytes(line["key"]), _bytes(line["value"])
    return ArchivedRecord(topic, partition, line["offset"], line["timestamp"], key, value, headers)


def _text(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)
