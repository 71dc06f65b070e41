"""The log as an export has it, and what came after from the broker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from projections.sources.archive import days_of, records_of
from projections.sources.broker import BrokerAddress, BrokerSource
from projections.sources.same_log import check_same_log
from projections.sources.source import Bounds, Passed, tell_nobody
from schemas.errors import ConfigurationError
from schemas.records import LogRecord


@dataclass(frozen=True, slots=True)
class ExportAddress:
    """Where an export is, and where the log goes on after it, if it does; can be sent to another process."""

    folder: Path
    then: BrokerAddress | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ExportSource]:
        """Open the export, and connect where it goes on. Raises ConfigurationError where that can't be done."""
        if not self.folder.is_dir():
            raise ConfigurationError(f"{self.folder} is no folder: an export is made by `botpulse export`")
        if self.then is None:
            yield ExportSource(self.folder)
            return
        async with self.then.open() as rest:
            yield ExportSource(self.folder, rest)


class ExportSource:
    """Reads exported days from their files, and later records through `rest`."""

    def __init__(self, folder: Path, rest: BrokerSource | None = None) -> None:
        self._folder = folder
        self._rest = rest
        self._checked: set[str] = set()
        """Topics of which export and log are known to be of one another."""

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        """Return every partition with its first offset and its end, as of now where the log goes on.

        Raises ConfigurationError where that is another log than the exported one.
        """
        exported = self._exported(topic)
        if self._rest is None:
            return exported
        if topic not in self._checked:
            await check_same_log(self._rest, self._folder, topic, days_of(self._folder, topic))
            self._checked.add(topic)
        now = await self._rest.bounds(topic)
        return {number: Bounds(exported.get(number, found).first, found.end) for number, found in now.items()}

    def _exported(self, topic: str) -> dict[int, Bounds]:
        found: dict[int, Bounds] = {}
        for day in days_of(self._folder, topic):
            for part in day.parts:
                first = found.get(part.partition, Bounds(part.first_offset, 0)).first
                found[part.partition] = Bounds(first, part.next_offset)
        return found

    async def read(
        self,
        topic: str,
        start: Mapping[int, int],
        end: Mapping[int, int],
        key: bytes | None = None,
        passed: Passed = tell_nobody,
    ) -> AsyncGenerator[tuple[int, Sequence[LogRecord]], None]:
        """Yield each partition's records in order, up to its end, of one key where there is one.

        Raises DamagedExport, naming the file.
        """
        exported = self._exported(topic)
        for number, upto in end.items():
            begin = start.get(number, 0)
            known = exported.get(number, Bounds(0, 0))
            if begin < upto and (begin < known.first or (upto > known.end and self._rest is None)):
                raise ConfigurationError(
                    f"the export {self._folder} has {topic}/{number} from {known.first:,} up to {known.end:,}, asked "
                    f"for is {begin:,} up to {upto:,}"
                )
        for day in days_of(self._folder, topic):
            for part in day.parts:
                begin, upto = start.get(part.partition, 0), end.get(part.partition, 0)
                if begin < part.next_offset and upto > part.first_offset:
                    at = max(begin, part.first_offset)
                    for records in records_of(self._folder / topic / day.day.isoformat(), topic, part, key):
                        inside = [record for record in records if begin <= record.offset < upto]
                        if inside:
                            passed(inside[-1].offset + 1 - at)
                            at = inside[-1].offset + 1
                            yield part.partition, inside
                    passed(min(upto, part.next_offset) - at)
        if self._rest is not None:
            starts = {n: max(start.get(n, 0), exported[n].end if n in exported else 0) for n in end}
            async with aclosing(self._rest.read(topic, starts, end, key, passed)) as later:
                async for found in later:
                    yield found
