"""Writes days of the log into an export. What is there and whole is left as it is, so an export is repeatable."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import cramjam

from projections.sources.archive import MANIFEST, DamagedExport, Day, Part, days_of, encode_record, records_of
from projections.sources.broker import BrokerSource
from projections.sources.same_log import check_same_log
from schemas.errors import ConfigurationError

FRAME_BYTES: Final = 4 * 1024 * 1024
"""Of lines in one frame of a file, about."""
SETTLED: Final = timedelta(minutes=10)
"""A day is closed when it has been over for so long: brokers' clocks may differ a little."""
_LEVEL: Final = 6

Progress = Callable[[int, int], None]


async def export_topic(
    source: BrokerSource,
    topic: str,
    folder: Path,
    *,
    now: datetime,
    with_open_day: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> list[Day]:
    """Write the days of a topic that are closed at `now` and not in the folder yet; return them.

    With `with_open_day` the day that is not over is written too, as far as it has come. A day appears in the folder at
    once and whole. Raises ConfigurationError where the folder can't be written or is of another log, and where a day
    would be exchanged for less than it has.
    """
    place = folder / topic
    try:
        place.mkdir(parents=True, exist_ok=True)
        for left_over in place.glob(".*"):
            shutil.rmtree(left_over)
    except OSError as error:
        raise ConfigurationError(f"{place} can't be written: {error.strerror}") from None
    bounds = await source.bounds(topic)
    days = days_of(folder, topic)
    done = [day for day in days if day.closed]
    for part in (part for day in days for part in day.parts):
        number, upto = part.partition, part.next_offset
        if number not in bounds:
            raise ConfigurationError(
                f"{place} has a partition {number}, the log has none: this export is of another log"
            )
        if upto > bounds[number].end:
            raise ConfigurationError(
                f"{place} goes up to {upto:,} in partition {number}, the log only to {bounds[number].end:,}: this "
                "export is of another log"
            )
    await check_same_log(source, folder, topic, days)
    starts = {number: found.first for number, found in bounds.items()}
    for day in done:
        for part in day.parts:
            starts[part.partition] = part.next_offset
    for part in (part for day in days if not day.closed for part in day.parts):
        if part.records and bounds[part.partition].first > part.first_offset:
            raise ConfigurationError(
                f"{place} has partition {part.partition} from {part.first_offset:,} on in a day that was not over, the "
                f"log only from {bounds[part.partition].first:,}: to write that day anew would lose records; keep this "
                "folder and export into another one"
            )
    total = sum(bounds[number].end - start for number, start in starts.items())
    written: list[Day] = []
    last_closed = (now - SETTLED).date() - timedelta(days=1)
    day_after = max((day.day for day in done), default=date.min)
    while any(starts[number] < bounds[number].end for number in bounds):
        today = await _day_of_next(source, topic, starts, {n: b.end for n, b in bounds.items()})
        # A clock that went back must not bring a day twice.
        today = max(today, day_after + timedelta(days=1)) if day_after > date.min else today
        closed = today <= last_closed
        if not closed and (not with_open_day or today == date.max):
            break
        ends = {number: found.end for number, found in bounds.items()}
        if closed:
            midnight = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
            later = await source.offsets_at(topic, int(midnight.timestamp() * 1000))
            ends = {n: max(starts[n], min(later[n], ends[n])) for n in ends}
        so_far = total - sum(bounds[n].end - starts[n] for n in starts)
        day = Day(topic, today, closed, ())
        day = await _write_day(source, day, place, starts, ends, partial(_moved, progress, so_far, total))
        written.append(day)
        starts, day_after = ends, today
    return written


def _moved(progress: Progress, so_far: int, total: int, done: int) -> None:
    progress(so_far + done, total)


async def _day_of_next(source: BrokerSource, topic: str, starts: dict[int, int], ends: dict[int, int]) -> date:
    """Return the broker's day of the earliest record that comes next."""
    times = []
    for number, start in starts.items():
        async with contextlib.aclosing(source.read(topic, {number: start}, {number: ends[number]})) as reading:
            async for _, records in reading:
                times.append(records[0].timestamp)
                break
    if not times:  # nothing but transaction markers is left: they are of the day that is not over
        return date.max
    return datetime.fromtimestamp(min(times) / 1000, UTC).date()


async def _write_day(
    source: BrokerSource,
    day: Day,
    place: Path,
    starts: dict[int, int],
    ends: dict[int, int],
    progress: Callable[[int], None],
) -> Day:
    """Write the files beside the export, then put the folder into its place."""
    making = place / f".{day.day.isoformat()}.{os.getpid()}"
    final = place / day.day.isoformat()
    try:
        making.mkdir()
        parts, done = [], 0

        def passed(offsets: int) -> None:
            nonlocal done
            done += offsets
            progress(done)

        for number in sorted(ends):
            with _File(making / f"{number}.ndjson.zst") as file:
                begin, end = {number: starts[number]}, {number: ends[number]}
                async for _, records in source.read(day.topic, begin, end, passed=passed):
                    for record in records:
                        file.add(encode_record(record))
            parts.append(
                Part(number, starts[number], ends[number], file.records, file.sha256.hexdigest(), tuple(file.frames))
            )
        day = Day(day.topic, day.day, day.closed, tuple(parts))
        with _synced(making / MANIFEST) as manifest:
            manifest.write(day.encode())
        if final.exists():  # a day that was not over
            final.rename(place / f".{day.day.isoformat()}.old")
        making.rename(final)
        _sync_folder(place)
        shutil.rmtree(place / f".{day.day.isoformat()}.old", ignore_errors=True)
    except OSError as error:
        raise ConfigurationError(f"{making} can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return day


class _File:
    """A file of frames, on disk when the block ends."""

    def __init__(self, path: Path) -> None:
        self.records = 0
        self.frames: list[int] = []
        self.sha256 = hashlib.sha256()
        self._path = path
        self._lines = bytearray()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _File:
        self._file = self._stack.enter_context(_synced(self._path))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        self._stack.close()

    def add(self, line: bytes) -> None:
        """Add one record."""
        self.records += 1
        self._lines += line
        if len(self._lines) >= FRAME_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            frame = bytes(cramjam.zstd.compress(bytes(self._lines), level=_LEVEL))
            self.frames.append(len(frame))
            self.sha256.update(frame)
            self._file.write(frame)
            self._lines.clear()


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[BinaryIO]:
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check(
    folder: Path, topics: Sequence[str], progress: Progress = lambda _done, _total: None
) -> tuple[int, list[str]]:
    """Read every file of an export; return how many records are whole, and what is damaged, each naming its file.

    Raises ConfigurationError for a folder that has none of the topics.
    """
    found = [topic for topic in topics if (folder / topic).is_dir()]
    if not found:
        raise ConfigurationError(f"{folder} is no export: it has none of {', '.join(topics)}")
    damages: list[str] = []
    whole = 0
    for topic in found:
        try:
            days = days_of(folder, topic)
        except DamagedExport as error:
            damages.append(str(error))
            continue
        total = sum(day.records for day in days)
        done = 0
        for day in days:
            for part in day.parts:
                try:
                    whole += _check_part(folder / topic / day.day.isoformat(), topic, part)
                except DamagedExport as error:
                    damages.append(str(error))
                done += part.records
                progress(done, total)
    return whole, damages


def _check_part(folder: Path, topic: str, part: Part) -> int:
    count, expected = 0, part.first_offset
    for records in records_of(folder, topic, part):
        for record in records:
            if not expected <= record.offset < part.next_offset:
                raise DamagedExport(f"{folder / part.file} is damaged: offset {record.offset:,} is out of order")
            expected = record.offset + 1
            count += 1
    return count
