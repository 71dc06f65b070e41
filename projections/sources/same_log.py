"""Whether an export and a log are of one another.

Offsets alone don't tell: a topic that was made anew has the same ones. The broker's times and the bytes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from projections.sources.archive import ArchivedRecord, Day, encode_record, last_record
from projections.sources.source import LogSource
from schemas.errors import ConfigurationError
from schemas.records import LogRecord


async def check_same_log(source: LogSource, folder: Path, topic: str, days: Sequence[Day]) -> None:
    """Compare each partition's last exported record with the one that the log has there, if it still has it.

    `days` are all of the topic in the export `folder`. Raises ConfigurationError where it is another, or none.
    """
    bounds = await source.bounds(topic)
    last: dict[int, ArchivedRecord] = {}
    for day in reversed(days):
        for part in day.parts:
            if part.partition in last or part.partition not in bounds:
                continue
            record = last_record(folder / topic / day.day.isoformat(), topic, part)
            if record is not None:
                last[part.partition] = record
    # What the broker has deleted since nobody can compare.
    kept = {number: record for number, record in last.items() if record.offset >= bounds[number].first}
    there = {number: record.offset for number, record in kept.items() if record.offset < bounds[number].end}
    found: dict[int, LogRecord] = {}
    async for number, records in source.read(topic, there, {number: offset + 1 for number, offset in there.items()}):
        found[number] = records[-1]
    for number, record in sorted(kept.items()):
        if number not in found or encode_record(found[number]) != encode_record(record):
            raise ConfigurationError(
                f"{folder / topic} has another record than the log as {topic}/{number}/{record.offset}: this export is "
                "of another log, or the topic was made anew since"
            )
