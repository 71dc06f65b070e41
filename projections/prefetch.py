"""Fetches and decodes ahead: while Postgres writes one batch, the next one is made ready.

What is ready grows, up to one batch, until the writer has time for it: a slow database makes batches larger, and a
database that is away stops the fetching. Beside the batch in hand, memory holds one that is ready and what the client
has fetched ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final, Protocol

from projections.checkpoints import Place
from projections.intake import Decoded, Intake
from schemas.records import LogRecord

FETCH_SECONDS: Final = 0.5
"""How long one fetch waits for a first record."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""So large may what is ready be when still more is fetched; decoded, the usual events take some ten times as much."""


class Reader(Protocol):
    """What is asked of whoever reads the log."""

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on, and no others."""

    def leave(self, place: Place) -> None:
        """Return no more of a partition until the next `assign`."""

    async def fetch(self, max_records: int, timeout_seconds: float) -> dict[Place, list[LogRecord]]:
        """Return what comes next; waits only while there is nothing."""
        ...

    async def position(self, place: Place) -> int:
        """Return the offset that is read next."""
        ...


class Prefetch:
    """Reads from given positions on, with a task of its own between `start` and `stop`."""

    def __init__(
        self,
        reader: Reader,
        intake: Intake,
        most_records: int,
        *,
        most_bytes: int = MOST_BYTES,
        whole: bool = False,
    ) -> None:
        """With `whole` one partition number after the other is read, of all topics, and batches are as large as they
        may be, but for a number's last one before the stops: the more of a user's events, the fewer rows they change.
        """
        self._reader = reader
        self._intake = intake
        self._most = most_records
        self._most_bytes = most_bytes
        self._whole = whole
        self._ready = Decoded()
        self._changed = asyncio.Event()
        """A batch is ready, or the task has ended."""
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, positions: Mapping[Place, int], stops: Mapping[Place, int] | None = None) -> None:
        """Read these partitions from these offsets on, and no others; what was ready before is dropped.

        With `stops` not past these offsets: then nothing more of a partition is read.
        """
        await self.stop()
        if positions:
            reading = self._read_in_turn if self._whole else self._read
            self._task = asyncio.create_task(reading(dict(positions), dict(stops or {})))
            self._task.add_done_callback(lambda _: self._changed.set())

    async def stop(self) -> None:
        """Stop reading, and drop what is ready."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            # Its error, if it had one, was of what is dropped here.
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
            self._reader.assign({})
        self._ready = Decoded()
        self._changed.clear()

    @property
    def full(self) -> bool:
        """Whether nothing is fetched until the writer has taken what is ready."""
        return self._ready.count >= self._most or self._ready.size >= self._most_bytes

    async def take(self, seconds: float) -> Decoded | None:
        """Return everything that is ready, None if that is nothing for so long. Raises what reading raised.

        With `whole` what is not yet as large as it may be is not ready.
        """
        if not self._changed.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
        if self._task is not None and self._task.done():
            self._task.result()
        if self._whole and not self._changed.is_set():
            return None
        taken, self._ready = self._ready, Decoded()
        self._changed.clear()
        self._room.set()
        return taken if taken.positions else None

    async def _read_in_turn(self, positions: dict[Place, int], stops: dict[Place, int]) -> None:
        """Read everything of one partition number before anything of the next one: no batch holds both."""
        for number in sorted({place.partition for place in positions}):
            while self._ready.positions:
                await self._taken()
            await self._read({place: at for place, at in positions.items() if place.partition == number}, stops)

    async def _taken(self) -> None:
        self._room.clear()
        await self._room.wait()

    async def _read(self, positions: dict[Place, int], stops: dict[Place, int]) -> None:
        self._reader.assign(positions)
        while positions:
            while self.full:
                await self._taken()
            fetched = await self._reader.fetch(self._most - self._ready.count, FETCH_SECONDS)
            # Also a gap without a record behind it (transaction markers) moves the checkpoint, or lag would never be 0.
            moved = {
                place: position
                for place, before in positions.items()
                if (position := await self._reader.position(place)) != before
            }
            if not moved:
                continue
            if stops:
                fetched = self._cut(fetched, moved, stops)
            decoded = await self._intake.decode(fetched)
            decoded.begins = {place: positions[place] for place in moved}
            decoded.positions = moved
            positions |= moved
            for place in [place for place in moved if moved[place] == stops.get(place)]:
                self._reader.leave(place)
                del positions[place]
            if self._ready.positions:
                self._ready.append(decoded)
            else:
                self._ready = decoded
            if self.full or not positions or not self._whole:
                self._changed.set()

    @staticmethod
    def _cut(
        fetched: Mapping[Place, list[LogRecord]], moved: dict[Place, int], stops: Mapping[Place, int]
    ) -> dict[Place, list[LogRecord]]:
        """Leave out what lies at or past the stops."""
        past = [place for place, position in moved.items() if position > stops.get(place, position)]
        moved |= {place: stops[place] for place in past}
        return {
            place: [record for record in records if record.offset < stops[place]] if place in past else records
            for place, records in fetched.items()
        }
