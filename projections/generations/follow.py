"""Folds partitions of the log into the next generation, up to given offsets, and sends nothing.

The steps of a batch are the live worker's, by the same code: decode, dedupe, fence, remember, apply, commit. Only who
owns a partition is not the group's business here, where it ends is given, and what the database refuses gets no letter:
the live worker has sent it, or it is a difference to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import asyncpg
from prometheus_client import CollectorRegistry

from projections import checkpoints
from projections.applied import AppliedEvents
from projections.batch import Apply
from projections.checkpoints import Lease, Place
from projections.database import open_connection
from projections.generations.layout import NEXT
from projections.intake import Intake
from projections.metrics import Metrics
from projections.prefetch import Prefetch, Reader
from projections.settings import Settings
from projections.sql import query
from projections.writer import Writer
from schemas.records import LogRecord

WAIT_SECONDS: Final = 0.5
BATCH_RECORDS: Final = 20_000
RECORD_BYTES: Final = 512
"""With larger records a batch has fewer of them."""
LOCK_TIMEOUT_MS: Final = 10_000

Moved = Callable[[int], object]
"""Told how many records lie behind it, after every batch."""


async def connect_to_next(settings: Settings, application_name: str, role: str) -> asyncpg.Connection:
    """A session in the next generation, acting as `role`; raises what connecting raises.

    Its commits don't wait for the disk: what is lost with the server is built again.
    """
    connection = await open_connection(
        settings.database_url,
        application_name=application_name,
        lock_timeout_ms=LOCK_TIMEOUT_MS,
        command_seconds=None,
        role=role,
        schema=NEXT,
    )
    await connection.execute(query("generations", "commit_early"))
    return connection


class Follower:
    """Some partitions, folded through `apply` into the tables that `connection` finds first."""

    def __init__(
        self,
        settings: Settings,
        apply: Apply,
        *,
        connection: asyncpg.Connection,
        reader: Reader,
        partition_counts: Mapping[str, int],
        batch_records: int = BATCH_RECORDS,
    ) -> None:
        """With more than the usual `batch_records` batches wait until they are full, instead of following closely."""
        self._connection = connection
        self._applied = AppliedEvents()
        self._intake = Intake(settings.topics, partition_counts, self._applied)
        whole = batch_records > BATCH_RECORDS
        self._prefetch = (
            Prefetch(reader, self._intake, batch_records, most_bytes=batch_records * RECORD_BYTES, whole=True)
            if whole
            else Prefetch(reader, self._intake, batch_records)
        )
        self._writer = Writer(apply, _send_nothing, Metrics(CollectorRegistry()))
        self._leases: dict[Place, Lease] = {}

    async def claim(self, places: Iterable[Place]) -> None:
        """Become the owner of these partitions in the next generation, in place of whoever was before."""
        self._applied.forget()
        self._leases = {}
        await self.adopt(places)

    async def adopt(self, places: Iterable[Place]) -> None:
        """Claim those of these partitions that are not claimed yet."""
        owner = checkpoints.owner_name()
        for place in sorted(set(places) - set(self._leases)):
            self._leases[place] = await checkpoints.claim(self._connection, place, owner)

    def missing(self, stops: Mapping[Place, int]) -> int:
        """How many records lie before these offsets."""
        return sum(max(0, stop - self._leases[place].next_offset) for place, stop in stops.items())

    async def follow(self, stops: Mapping[Place, int], moved: Moved = lambda _: None) -> None:
        """Fold up to these offsets, exactly. Partitions that are there already stay.

        Raises FencedOut if another rebuild has claimed the partitions, ConfigurationError if the log no longer has what
        comes next, asyncpg's errors as they are.
        """
        behind = {place: stop for place, stop in stops.items() if self._leases[place].next_offset < stop}
        try:
            await self._prefetch.start({place: self._leases[place].next_offset for place in behind}, behind)
            while behind:
                decoded = await self._prefetch.take(WAIT_SECONDS)
                if decoded is None:
                    continue
                batch = await self._intake.batch(self._connection, decoded, self._leases)
                written = await self._writer.write(self._connection, batch)
                self._applied.committed(written.hours)
                for move in batch.moves:
                    self._leases[move.place] = self._leases[move.place].after(move)
                    if move.next_offset == behind[move.place]:
                        del behind[move.place]
                moved(sum(move.next_offset - move.expected_offset for move in batch.moves))
        finally:
            await self._prefetch.stop()


async def _send_nothing(refused: Sequence[tuple[LogRecord, str]]) -> None:
    """A rebuild has no effects."""
