"""The logs that are measured on: invented once, kept in a file, put on Kafka before a worker starts."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from aiokafka import TopicPartition

from deploy.kafka import consumer, partitions_of
from deploy.publishing import publisher
from deploy.simulate import Plan, simulate
from schemas.records import CONTENT_TYPE_HEADER
from schemas.topics import Topic

EVENTS_A_USER: Final = 10
"""The simulator is asked for no more users than have so many events each: with fewer, it tells little but arrivals."""
SHARE_DISTANCE: Final = 10_000_000_000
"""Between the telegram_ids that one invented user is split into: more than any that the simulator invents."""
DAYS: Final = 60
_SHOWN_EVERY: Final = 2_000
_LENGTHS: Final = struct.Struct("<HI")
_SUBJECT: Final = re.compile(rb'"subject":"[0-9]+"')

Move = Callable[[float], object]


def _nothing(_: float) -> None:
    return None


@dataclass(frozen=True)
class Log:
    """A log in a file: its records' keys and values, each behind its length."""

    path: Path
    users: int
    events: int
    value_bytes: int
    types: dict[str, int]
    """How many events there are of each type."""
    past: int = 0
    """How many of the events, the first ones, are the past of a sample of users, and not to be measured."""

    def records(self, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, in the log's order."""
        with self.path.open("rb", buffering=1 << 20) as file:
            left = self.events if limit is None else min(limit, self.events)
            for _ in range(left):
                key, value = _LENGTHS.unpack(file.read(_LENGTHS.size))
                yield file.read(key), file.read(value)


def shares(users: int, events: int) -> tuple[int, int]:
    """How many users to invent, and into how many each of them is split to make `users` of them.

    All the logs have the simulator's mix of events this way, whatever the number of users.
    """
    invented = max(1, min(users, events // EVENTS_A_USER))
    return invented, -(-users // invented)


class _Names:
    """Under which keys an invented user's events are told: in turn, under as many as there are `parts`.

    Of `known` users only those exist: one who is not among them is told as one who is.
    """

    def __init__(self, parts: int, known: Sequence[bytes] = ()) -> None:
        self._parts = parts
        self._known = known
        self._told_as = dict(zip(known, known, strict=True))
        self._told: Counter[bytes] = Counter()

    def of(self, key: bytes) -> bytes:
        """The key for this user's next event."""
        if self._known:
            key = self._told_as.setdefault(key, self._known[len(self._told_as) % len(self._known)])
        part = self._told[key] % self._parts
        self._told[key] += 1
        return b"%d" % (int(key) + part * SHARE_DISTANCE) if part else key


def invent(
    path: Path,
    *,
    users: int,
    events: int,
    seed: int,
    end: datetime,
    days: int = DAYS,
    past: bool = False,
    move: Move = _nothing,
) -> Log:
    """Write the log of `events` events of about `users` users to a file: the same arguments, the same bytes.

    With a `past`, EVENTS_A_USER events for each of the users that are invented come before them; then only those who
    have one go on, and each of them is split.
    """
    invented, parts = shares(users, events)
    before = invented * EVENTS_A_USER if past else 0
    names = _Names(parts)
    types: Counter[str] = Counter()
    seen: set[bytes] = set()
    size = number = 0
    with path.open("wb", buffering=1 << 20) as file:
        for emission in simulate(Plan(invented, before + events, seed, end, days)):
            key, value, event = emission.key, emission.value, emission.event
            assert key is not None and value is not None and event is not None  # noqa: PT018  # without faults
            if past and number == before:
                names = _Names(max(1, users // len(seen)), sorted(seen))
            if number >= before and key.isdigit() and (name := names.of(key)) != key:
                key = name
                value = _SUBJECT.sub(b'"subject":"' + key + b'"', value, count=1)
            file.write(_LENGTHS.pack(len(key), len(value)))
            file.write(key)
            file.write(value)
            if key.isdigit():
                seen.add(key)
            types[event["type"]] += 1
            size += len(value)
            number += 1
            if number % _SHOWN_EVERY == 0:
                move(number)
    return Log(path, len(seen), number, size, dict(types), before)


async def publish(
    log: Log, bootstrap_servers: str, topic: Topic, *, limit: int | None = None, move: Move = _nothing
) -> int:
    """Put the log on a topic, all of it acknowledged on return; returns how many records that are."""
    headers = [CONTENT_TYPE_HEADER]
    number = 0
    async with publisher(bootstrap_servers, topic) as sender:
        for key, value in log.records(limit):
            await sender.add(key, value, headers)
            number += 1
            if number % _SHOWN_EVERY == 0:
                move(number)
    return number


async def count(bootstrap_servers: str, topic: Topic) -> int:
    """How many records a topic has ever been given."""
    places = [TopicPartition(topic.name, number) for number in range(await partitions_of(bootstrap_servers, topic))]
    async with consumer(bootstrap_servers) as client:
        return sum((await client.end_offsets(places)).values())
