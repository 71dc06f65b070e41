"""The load: a child process that publishes the simulator's story at a rate until it is told to stop.

`python -m tests.faults.load CONFIG` prints one JSON line a second with what is acknowledged; at the end of its standard
input it stops, writes its books, and prints a last line with a fingerprint of all that it published.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import orjson

from deploy.publishing import publisher
from deploy.simulate import Books, Plan, parse_faults, simulate
from deploy.simulate.clock import moment, text
from deploy.simulate.generator import Emission
from schemas.topics import Topics

CHAPTER_EVENTS: Final = 50_000
"""A story of its own, with users of its own, every so many events: the load may go on for hours."""
_PACE_SECONDS: Final = 0.05
_TOLD_SECONDS: Final = 1.0
_SKEW_MICROSECONDS: Final = 23 * 3600 * 1_000_000


class Fingerprint:
    """Of a set of records, in any order: how many, and the sum of their digests."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """One record."""
        parts = b"%d|" % (-1 if key is None else len(key)) + (key or b"") + b"|" + (b"-" if value is None else value)
        self.count += 1
        self.sum = (self.sum + int.from_bytes(blake2b(parts, digest_size=16).digest(), "big")) % (1 << 128)

    def __str__(self) -> str:
        return f"{self.count}:{self.sum:032x}"


def story(seed: int, users: int, faults: str, skew: float, end: datetime) -> Iterator[Emission]:
    """Chapter after chapter."""
    chapter = 0
    while True:
        plan = Plan(users, CHAPTER_EVENTS, seed * 1000 + chapter, end, 60, parse_faults(faults))
        for emission in simulate(plan):
            yield _skewed(emission, skew)
        chapter += 1


def _skewed(emission: Emission, share: float) -> Emission:
    """A share of the events comes from senders whose clock is wrong, by up to 23 hours in either direction.

    A duplicate is the same bytes, so it must be off by as much: the event's id decides. A dispute's closings are
    compared by their times, and those the books want unchanged.
    """
    event = emission.event
    if event is None or not share or event["type"].endswith("dispute_closed.v1"):
        return emission
    digest = blake2b(event["id"].encode(), digest_size=8).digest()
    if int.from_bytes(digest[:4], "big") >= share * 2**32:
        return emission
    offset = int.from_bytes(digest[4:], "big") % (2 * _SKEW_MICROSECONDS) - _SKEW_MICROSECONDS
    shifted = {**event, "time": text(moment(datetime.fromisoformat(event["time"])) + offset)}
    return emission._replace(value=orjson.dumps(shifted), event=shifted)


class Load:
    """Publishes and keeps the books."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._books = Books()
        self._fingerprint = Fingerprint()
        self._stopping = False
        self._told = 0.0

    def stop(self) -> None:
        """Stop at the next record."""
        self._stopping = True

    async def run(self) -> None:
        """Publish until `stop`, or until `events` records when that is set; all acknowledged on return."""
        config = self._config
        end = datetime.now(UTC) - timedelta(minutes=5)
        emissions = story(config["seed"], config["users"], config["faults"], config["skew"], end)
        rate, most = config["rate"], config["records"]
        async with publisher(config["servers"], Topics(config["prefix"]).events) as sender:
            due = time.monotonic()
            for emission in emissions:
                if self._stopping or (most and self._books.counts["records"] >= most):
                    break
                place = (sender.place(emission.key) + 1) % sender.partitions if emission.misplaced else None
                await sender.add(emission.key, emission.value, emission.headers, place)
                self._books.add(emission)
                self._fingerprint.add(emission.key, emission.value)
                if rate:
                    due += 1 / rate
                    ahead = due - time.monotonic()
                    if ahead > _PACE_SECONDS:
                        await sender.flush()
                        await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._tell(sender.acknowledged)
            await sender.flush()
        report = self._books.write(seed=config["seed"])
        await asyncio.to_thread(Path(config["books"]).write_bytes, report)
        print(json.dumps({"acknowledged": self._fingerprint.count, "fingerprint": str(self._fingerprint)}), flush=True)  # noqa: T201

    def _tell(self, acknowledged: int) -> None:
        now = time.monotonic()
        if now - self._told > _TOLD_SECONDS:
            self._told = now
            print(json.dumps({"acknowledged": acknowledged}), flush=True)  # noqa: T201


def main() -> None:
    """Run until the standard input ends."""
    load = Load(json.loads(sys.argv[1]))

    def wait_for_the_end() -> None:
        # Not by way of sys.stdin: a load that ends by itself could not take its lock from this thread, and would abort.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        load.stop()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    asyncio.run(load.run())


if __name__ == "__main__":
    main()
