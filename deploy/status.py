"""How far the services are: every partition's checkpoint against the log, who owns it, how fast it moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.database import NotMigratedError, database
from deploy.kafka import admin, consumer, partition_counts
from projections import sql
from schemas.counting import counted
from schemas.topics import Topics

STALLED_SECONDS: Final = 60.0
"""A partition that has not moved for so long, with a record waiting for as long, is a finding."""
_READ_SECONDS: Final = 5.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Partition:
    """One partition of the projections. Lag is what a reader would still get, and how old the first of it is."""

    topic: str
    partition: int
    checkpoint: int
    """The first offset that is not applied."""
    end: int
    lag_records: int
    lag_seconds: float
    epoch: int
    """How often it was claimed; 0 while it never was."""
    owner: str | None
    """Host and process id of the worker that claimed it last."""
    connected: bool
    """Whether that worker's database connection is open."""
    records_per_second: float
    """What the checkpoint moved between two looks."""
    idle_seconds: float | None
    """Since the checkpoint moved last; None while the partition was never claimed."""

    @property
    def stalled(self) -> bool:
        """Whether something waits that nobody applies."""
        idle = self.idle_seconds is None or self.idle_seconds > STALLED_SECONDS
        return self.lag_records > 0 and self.lag_seconds > STALLED_SECONDS and idle


@dataclass(frozen=True)
class Progress:
    """Both services; `not_ready` says why there is nothing to look at yet, "" where there is."""

    partitions: list[Partition] = field(default_factory=list)
    streams_lag_records: int = 0
    open_refusals: int = 0
    not_ready: str = ""

    def findings(self) -> list[str]:
        """What somebody should look into."""
        found = []
        if stalled := [p for p in self.partitions if p.stalled]:
            names = ", ".join(f"{p.topic}/{p.partition}" for p in stalled)
            found.append(f"nobody applies {names}: is `botpulse run projections` running?")
        if self.open_refusals:
            found.append(
                f"{counted(self.open_refusals, 'event')} refused by the database, neither redriven nor accepted: see "
                "`botpulse dead-letters list`"
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "projections": {
                "partitions": [asdict(p) for p in self.partitions],
                "lag_records": sum(p.lag_records for p in self.partitions),
                "lag_seconds": max((p.lag_seconds for p in self.partitions), default=0.0),
                "records_per_second": round(sum(p.records_per_second for p in self.partitions), 1),
                "open_refusals": self.open_refusals,
            },
            "streams": {"lag_records": self.streams_lag_records},
            "not_ready": self.not_ready,
        }


async def look(bootstrap_servers: str, database_url: str, topics: Topics, *, seconds: float) -> Progress:
    """Look twice, `seconds` apart. Raises ConfigurationError when Kafka or Postgres can't be used."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(admin(bootstrap_servers))
        options = {"isolation_level": "read_committed", "auto_offset_reset": "earliest"}
        reader = await stack.enter_async_context(consumer(bootstrap_servers, **options))
        names = [topics.events.name, topics.tier_changes.name, topics.dead_letters.name]
        counts = await partition_counts(client, names)
        if missing := [name for name in names if name not in counts]:
            return Progress(not_ready=f"no topic {' and no topic '.join(missing)} yet: run `botpulse topics apply`")
        try:
            connection = await stack.enter_async_context(database(database_url))
        except NotMigratedError:
            return Progress(not_ready="the database has not been migrated yet: run `botpulse migrate`")
        places = [TopicPartition(name, number) for name in names for number in range(counts[name])]
        before, began = await _positions(connection, names), time.monotonic()
        await asyncio.sleep(seconds)
        now, past = await _positions(connection, names), time.monotonic() - began
        reader.assign(places)
        reader.pause(*places)
        begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
        at = {place: max(now[place]["next_offset"] if place in now else 0, begins[place]) for place in places}
        waiting = await _first_waiting(reader, {place: at[place] for place in places if at[place] < ends[place]}, ends)
        return Progress(
            [
                _partition(place, at[place], ends[place], waiting.get(place), now.get(place), before.get(place), past)
                for place in places
            ],
            await _streams_lag(client, topics, [p for p in places if p.topic == topics.events.name], begins, ends),
            await connection.fetchval(sql.query("refused", "open_refusals")),
        )


def _partition(
    place: TopicPartition,
    at: int,
    end: int,
    first_waiting: tuple[int, datetime] | None,
    row: asyncpg.Record | None,
    row_before: asyncpg.Record | None,
    seconds: float,
) -> Partition:
    moved = 0 if row is None else row["next_offset"] - (row_before["next_offset"] if row_before else 0)
    lag = 0 if first_waiting is None else end - first_waiting[0]
    age = timedelta() if first_waiting is None else datetime.now(UTC) - first_waiting[1]
    return Partition(
        topic=place.topic,
        partition=place.partition,
        checkpoint=at,
        end=end,
        lag_records=lag,
        lag_seconds=round(max(0.0, age.total_seconds()), 1),
        epoch=0 if row is None else row["epoch"],
        owner=None if row is None else row["owner"],
        connected=row is not None and row["connected"],
        records_per_second=round(moved / seconds, 1),
        idle_seconds=None if row is None else round(row["idle_seconds"], 1),
    )


async def _positions(connection: asyncpg.Connection, names: Sequence[str]) -> dict[TopicPartition, asyncpg.Record]:
    rows = await connection.fetch(sql.query("tools", "checkpoints"), list(names))
    return {TopicPartition(row["topic"], row["partition"]): row for row in rows}


async def _first_waiting(
    reader: AIOKafkaConsumer, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, tuple[int, datetime]]:
    """Offset and broker time of the first record from each position on; none where only a gap lies before the end."""
    found: dict[TopicPartition, tuple[int, datetime]] = {}
    left = set(positions)
    for place, offset in positions.items():
        reader.seek(place, offset)
        reader.resume(place)
    deadline = time.monotonic() + _READ_SECONDS
    while left and time.monotonic() < deadline:
        for place, records in (await reader.getmany(*left, timeout_ms=200, max_records=len(left))).items():
            if records and records[0].offset < ends[place]:
                found[place] = records[0].offset, _EPOCH + timedelta(milliseconds=records[0].timestamp)
            reader.pause(place)
        done = {place for place in left if place in found or await reader.position(place) >= ends[place]}
        left -= done
    # What the broker did not hand out in time waits all the same; how long is not known.
    return found | {place: (positions[place], datetime.now(UTC)) for place in left}


async def _streams_lag(
    client: AIOKafkaAdminClient,
    topics: Topics,
    places: list[TopicPartition],
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> int:
    try:
        committed = await client.list_consumer_group_offsets(topics.streams_group, partitions=places)
    except KafkaError:
        # The group has never been.
        committed = {}
    at = {place: found.offset for place, found in committed.items()}
    return sum(max(0, ends[place] - max(at.get(place, 0), begins[place])) for place in places)
