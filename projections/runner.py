"""The runner: a worker's membership in the group, and its lanes, which do the work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import asyncpg
import structlog

from projections.batch import Apply
from projections.group import Membership
from projections.health import Health
from projections.lane import LANES, Lane
from projections.metrics import Metrics
from projections.settings import Settings
from schemas.process.tracing import Traces

CLOSE_SECONDS: Final = 3.0
"""How long the end of a worker waits for Kafka and Postgres."""

log = structlog.get_logger(__name__)


class Runner:
    """One worker of the projection group."""

    def __init__(
        self,
        settings: Settings,
        apply: Apply,
        *,
        partition_counts: Mapping[str, int],
        metrics: Metrics,
        health: Health,
        instance_id: str | None = None,
        connection: asyncpg.Connection | None = None,
        traces: Traces | None = None,
    ) -> None:
        topics = settings.topics
        self._stopping = asyncio.Event()
        self._membership = Membership(
            settings.bootstrap_servers,
            topics.projections_group,
            [topics.events.name, topics.tier_changes.name, topics.dead_letters.name],
            instance_id=instance_id,
            session_timeout_seconds=settings.session_timeout_seconds,
            changed=metrics.rebalanced,
        )
        self._lanes = [
            Lane(
                number,
                settings,
                apply,
                partition_counts=partition_counts,
                membership=self._membership,
                metrics=metrics,
                connection=connection if number == 0 else None,
                stopping=self._stopping,
                traces=traces,
            )
            for number in range(LANES)
        ]
        health.lanes = [lane.health for lane in self._lanes]

    def stop(self) -> None:
        """Finish the batches in hand, then let `run` return."""
        self._stopping.set()
        self._membership.changed.set()

    async def run(self) -> None:
        """Work until `stop`.

        Raises FencedOut, ConfigurationError (a checkpoint and a log that don't belong together), ServiceStopped; any
        other error is a defect. Nothing unfinished is acknowledged, whatever is raised.
        """
        try:
            for lane in self._lanes:
                await lane.start()
            await self._membership.start()
            await _all_or_none([asyncio.ensure_future(lane.run()) for lane in self._lanes])
        finally:
            for lane in self._lanes:
                lane.health.joined = False
            await self._close()

    async def _close(self) -> None:
        """Leave the group and close every connection; what does not answer is left behind."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*(lane.leave() for lane in self._lanes))
                await self._membership.stop()
                await asyncio.gather(*(lane.close() for lane in self._lanes))
        except TimeoutError:
            log.warning("Kafka did not take a goodbye in time")


async def _all_or_none(tasks: list[asyncio.Future[None]]) -> None:
    """Wait for all; the first that does not end well ends the others, and what it raised is raised."""
    try:
        for done in asyncio.as_completed(tasks):
            await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
