"""What publishing an event costs a bot: `python -m deploy.bench.publisher`, on the Kafka of the environment."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deploy.settings import Settings
from schemas.errors import BotpulseError
from schemas.events import MessageReceived
from schemas.publisher import Publisher

AT_ONCE: Final = (1, 10, 100, 1000)
"""How many events are given together and waited for."""
ROUNDS: Final = 20


async def _measure(publisher: Publisher, at_once: int) -> tuple[float, float]:
    """Wall time until all are accepted and CPU time of this process, both in microseconds an event: medians."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        events = [publisher.new(MessageReceived, user, {"kind": "text"}) for user in range(1, at_once + 1)]
        await asyncio.gather(*map(publisher.publish, events))
        walls.append((time.perf_counter() - wall) / at_once * 1e6)
        cpus.append((time.process_time() - cpu) / at_once * 1e6)
    return statistics.median(walls), statistics.median(cpus)


async def _bench(bootstrap_servers: str, topic: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for place, servers in (("log", bootstrap_servers), ("spool", "127.0.0.1:1")):
            spool = Path(folder) / f"{place}.db"
            async with Publisher(servers, source="/bench", spool=spool, topic=topic) as publisher:
                await _measure(publisher, 100)  # warm
                for at_once in AT_ONCE:
                    wall, cpu = await _measure(publisher, at_once)
                    print(f"{place:6} {at_once:5} at once  {wall:9,.0f} µs  {cpu:7,.0f} µs CPU an event")  # noqa: T201


def main() -> None:
    """Run it."""
    settings = Settings.from_environment()
    asyncio.run(_bench(settings.bootstrap_servers(), settings.topics.events.name))


if __name__ == "__main__":
    try:
        main()
    except BotpulseError as error:
        print(f"bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_status)
