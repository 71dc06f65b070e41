"""One batch, one transaction: the checkpoint moves with the rows or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import structlog

from projections import applied as applied_events
from projections import checkpoints, sql
from projections.applied import Hour
from projections.batch import Applied, Apply, Arrival
from projections.database import describe_refusal, is_refusal
from projections.intake import Batch
from projections.metrics import Metrics
from schemas.errors import ServiceStopped
from schemas.process import crash_points
from schemas.reasons import Reason
from schemas.records import LogRecord

MOST_REFUSED: Final = 100
"""More refused events in one batch are no bad rows: the schema or this code is wrong."""

SendLetters = Callable[[Sequence[tuple[LogRecord, str]]], Awaitable[None]]
"""Writes a dead letter for each record, with the detail; returns when all are acknowledged."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event whose rows the database refused."""

    arrival: Arrival
    detail: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a committed batch changed."""

    applied: int
    conflicts: int
    refusals: list[Refusal] = field(default_factory=list)
    hours: dict[Hour, tuple[int, bytes]] = field(default_factory=dict)
    """The digests that are remembered now."""


class Writer:
    """Writes batches through `apply`."""

    def __init__(self, apply: Apply, send_letters: SendLetters, metrics: Metrics) -> None:
        self._apply = apply
        self._send_letters = send_letters
        self._metrics = metrics

    async def write(self, connection: asyncpg.Connection, batch: Batch) -> Written:
        """Write the batch and commit.

        Raises FencedOut if another worker owns a partition now; asyncpg's errors, OSError and TimeoutError as they
        are, with the outcome of the commit unknown. Nothing is written where an error is raised before the commit.
        """
        crash_points.reached("before_begin")
        try:
            return await self._write_whole(connection, batch)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_refusal(error):
                raise
            log.warning("the database refused a batch; looking for the event", detail=describe_refusal(error))
        return await self._write_in_parts(connection, batch)

    async def _write_whole(self, connection: asyncpg.Connection, batch: Batch) -> Written:
        """The way of every batch whose rows are all fine."""
        hours = applied_events.pack(zip(batch.arrivals, batch.marks, strict=False))
        async with self._transaction(connection):
            with self._metrics.step("fence"):
                await checkpoints.advance(connection, batch.moves)
            crash_points.reached("after_cas")
            with self._metrics.step("remember"):
                await applied_events.remember(connection, hours)
            with self._metrics.step("apply"):
                applied = await self._apply_some(connection, batch.arrivals)
            crash_points.reached("after_rows")
            await self._close_redriven(connection, batch)
        return Written(len(batch.arrivals), applied.conflicts, hours=hours)

    async def _write_in_parts(self, connection: asyncpg.Connection, batch: Batch) -> Written:
        """The same transaction, in savepoints: halves of what is refused, down to the single event.

        A refused event's letter is acknowledged before the commit: a crash between the two sends it twice, and its
        place in the log makes the two one letter. Its digest is not kept, so that a redriven copy is no duplicate.
        """
        refusals: list[Refusal] = []
        async with self._transaction(connection):
            await checkpoints.advance(connection, batch.moves)
            conflicts = await self._bisect(connection, batch.arrivals, refusals)
            refused = {_place_of(refusal.arrival) for refusal in refusals}
            hours = applied_events.pack(
                (arrival, mark)
                for arrival, mark in zip(batch.arrivals, batch.marks, strict=False)
                if _place_of(arrival) not in refused
            )
            await applied_events.remember(connection, hours)
            await self._close_redriven(connection, batch)
            await self._send_letters([(batch.record_of(r.arrival), r.detail) for r in refusals])
            await self._record(connection, refusals)
        return Written(len(batch.arrivals) - len(refusals), conflicts, refusals, hours)

    @contextlib.asynccontextmanager
    async def _transaction(self, connection: asyncpg.Connection) -> AsyncIterator[None]:
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield
        except BaseException:
            if not connection.is_closed():
                try:
                    await transaction.rollback()
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    # A statement that was given up is still under way. Ending the session ends the transaction; what is
                    # raised stays the reason.
                    connection.terminate()
            raise
        crash_points.reached("before_commit")
        with self._metrics.step("commit"):
            await transaction.commit()
        crash_points.reached("after_commit")

    async def _bisect(
        self, connection: asyncpg.Connection, arrivals: Sequence[Arrival], refusals: list[Refusal]
    ) -> int:
        """Apply what can be applied, in order; add the rest to `refusals`. Returns the number of conflicts."""
        try:
            async with connection.transaction():
                applied = await self._apply_some(connection, arrivals)
                await connection.execute(sql.query("refused", "constraints_now"))
                return applied.conflicts
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_refusal(error):
                raise
            if len(arrivals) == 1:
                refusals.append(Refusal(arrivals[0], describe_refusal(error)))
                if len(refusals) > MOST_REFUSED:
                    raise ServiceStopped(
                        f"the database refuses more than {MOST_REFUSED} events of one batch "
                        f"({describe_refusal(error)}): that is not a bad row; nothing of the batch was written"
                    ) from error
                return 0
        half = len(arrivals) // 2
        first = await self._bisect(connection, arrivals[:half], refusals)
        return first + await self._bisect(connection, arrivals[half:], refusals)

    async def _apply_some(self, connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Applied:
        return await self._apply(connection, arrivals) if arrivals else Applied()

    async def _record(self, connection: asyncpg.Connection, refusals: Sequence[Refusal]) -> None:
        if not refusals:
            return
        arrivals = [refusal.arrival for refusal in refusals]
        topics, partitions = [a.topic for a in arrivals], [a.partition for a in arrivals]
        await connection.execute(
            sql.query("refused", "record_refusals"),
            topics,
            partitions,
            [arrival.offset for arrival in arrivals],
            [Reason.DATABASE.value] * len(refusals),
            [refusal.detail for refusal in refusals],
            [arrival.appended_at for arrival in arrivals],
        )
        await connection.execute(sql.query("refused", "count_refusals"), topics, partitions)

    async def _close_redriven(self, connection: asyncpg.Connection, batch: Batch) -> None:
        if batch.redriven:
            await connection.execute(
                sql.query("refused", "close_redriven"),
                [place.topic for place, _ in batch.redriven],
                [place.partition for place, _ in batch.redriven],
                [offset for _, offset in batch.redriven],
            )


def _place_of(arrival: Arrival) -> tuple[str, int, int]:
    return arrival.topic, arrival.partition, arrival.offset
