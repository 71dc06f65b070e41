"""Watching from outside while the faults go on: positions, and that none ever goes back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import asyncpg
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from deploy.kafka import admin, consumer
from schemas.errors import BotpulseError
from tests.faults.world import DATABASE, World
from tests.support.databases import with_database

SAMPLE_SECONDS: Final = 0.2
_ANSWER_SECONDS: Final = 30.0
_AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, BotpulseError)


class Monitor:
    """Samples the checkpoints and the offsets that streams has committed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._checkpoints: dict[tuple[str, int], tuple[int, int, int]] = {}
        self._committed: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self.samples = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._forever(look)) for look in (self._watch_tables, self._watch_log)]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """Raise what has ended the watching."""
        for task in self._tasks:
            if task.done():
                task.result()

    @property
    def lag(self) -> dict[str, int]:
        """Records that each service has yet to apply, as far as is known."""
        events = self._world.topics.events.name
        applied = {place[1]: state[1] for place, state in self._checkpoints.items() if place[0] == events}
        return {
            "streams": sum(end - max(0, self._committed.get(p, 0)) for p, end in self._ends.items()),
            "projections": sum(end - applied.get(p, 0) for p, end in self._ends.items()),
        }

    async def _forever(self, look: Any) -> None:
        while True:
            with contextlib.suppress(*_AWAY):
                await look()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _watch_tables(self) -> None:
        url = with_database(self._world.info.database_url, DATABASE)
        connection = await asyncpg.connect(url, timeout=5, command_timeout=_ANSWER_SECONDS)
        try:
            while True:
                rows = await connection.fetch(
                    "SELECT topic, partition, epoch, next_offset, events_applied FROM botpulse.checkpoints"
                )
                for topic, partition, *state in rows:
                    self._compare((topic, partition), tuple(state))
                self.samples += 1
                await asyncio.sleep(SAMPLE_SECONDS)
        finally:
            connection.terminate()

    def _compare(self, place: tuple[str, int], state: tuple[int, int, int]) -> None:
        before = self._checkpoints.get(place, (0, 0, 0))
        if any(now < was for now, was in zip(state, before, strict=True)):
            self._world.report.error(
                f"checkpoint {place[0]}/{place[1]} went back: (epoch, next offset, applied) {before} to {state}"
            )
        self._checkpoints[place] = state

    async def _watch_log(self) -> None:
        servers = self._world.info.bootstrap_servers
        name = self._world.topics.events.name
        async with admin(servers) as client, consumer(servers) as reader:
            places = [
                TopicPartition(name, p["partition"]) for p in (await client.describe_topics([name]))[0]["partitions"]
            ]
            while True:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    ends = await reader.end_offsets(places)
                    committed = await client.list_consumer_group_offsets(
                        self._world.topics.streams_group, partitions=places
                    )
                for place in places:
                    self._ends[place.partition] = ends[place]
                    # -1, or no entry: nothing is committed, or the broker has just begun to read what is.
                    now = committed[place].offset if place in committed else -1
                    before = self._committed.get(place.partition, -1)
                    if now < 0:
                        continue
                    if now < before:
                        self._world.report.error(
                            f"streams' committed offset of partition {place.partition} went back: {before} to {now}"
                        )
                    self._committed[place.partition] = now
                await asyncio.sleep(SAMPLE_SECONDS * 2)
