"""What publishing an event costs a bot: `python -m deploy.bench.publisher`, on a Kafka of its own."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.bench.home import bench
from deploy.settings import Settings
from schemas.errors import BotpulseError
from schemas.events import MessageReceived
from schemas.publisher import Publisher
from schemas.publisher.settings import Settings as PublisherSettings

AT_ONCE: Final = (1, 10, 100, 1000)
"""How many events are given together and waited for."""
ROUNDS: Final = 20
_SETTINGS: Final = PublisherSettings(drain_seconds=0)  # nothing will ever listen where the spool's events go


async def _measure(publisher: Publisher, at_once: int, rounds: int) -> tuple[float, float]:
    """Wall time until all are accepted and CPU time of this process, both in microseconds an event: medians."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        events = [publisher.new(MessageReceived, user, {"kind": "text"}) for user in range(1, at_once + 1)]
        await asyncio.gather(*map(publisher.publish, events))
        walls.append((time.perf_counter() - wall) / at_once * 1e6)
        cpus.append((time.process_time() - cpu) / at_once * 1e6)
    return statistics.median(walls), statistics.median(cpus)


async def _bench(bootstrap_servers: str, topic: str, folder: Path, rounds: int) -> None:
    for place, servers in (("log", bootstrap_servers), ("spool", "127.0.0.1:1")):
        spool = folder / f"{place}.db"
        async with Publisher(servers, source="/bench", spool=spool, topic=topic, settings=_SETTINGS) as publisher:
            await _measure(publisher, 100, rounds)  # warm
            for at_once in AT_ONCE:
                wall, cpu = await _measure(publisher, at_once, rounds)
                typer.echo(f"{place:6} {at_once:5} at once  {wall:9,.0f} µs  {cpu:7,.0f} µs CPU an event")


def main(
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Measure so often; the median counts.")] = ROUNDS,
) -> None:
    """Publish events to a Kafka that is started for this and removed after it, and to a spool while Kafka is away."""
    home = Settings.from_environment().home.expanduser().absolute() / "bench"
    with bench(home) as own:
        folder = own.fresh_folder()
        with own.topics(folder) as topics:
            own.run(_bench(own.info.bootstrap_servers, topics.events.name, folder, rounds))


if __name__ == "__main__":
    try:
        typer.run(main)
    except BotpulseError as error:
        print(f"bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_status)
