"""The ends of the audit trail's chains, published: who rewrites a chain later can't rewrite what is on the topic.

A worker publishes the heads of its partitions when it has claimed them, then every minute in which a chain grew, and at
once after ROWS_UNPUBLISHED rows. A chain rewritten within that time, before its head was published, does not show.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import asyncpg
import orjson
import structlog
from aiokafka.errors import KafkaError

from projections.audit.chain import Chain, Head
from projections.sender import Outgoing, Sender
from projections.sql import query

PUBLISH_SECONDS: Final = 60.0
ROWS_UNPUBLISHED: Final = 10_000
ACKNOWLEDGED_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class PublishedHead(NamedTuple):
    """A head as it stands on the topic."""

    chain: Chain
    seq: int
    hash: bytes


def encode_head(chain: Chain, head: Head) -> tuple[bytes, bytes]:
    """Return the record's key and value."""
    value = {
        "v": 1,
        "topic": chain.topic,
        "partition": chain.partition,
        "seq": head.seq,
        "log_offset": head.log_offset,
        "hash": head.hash.hex(),
    }
    return str(chain).encode(), orjson.dumps(value)


def decode_head(value: bytes | None) -> PublishedHead | None:
    """Return the head of a record, None for one that is none of ours."""
    try:
        said: Any = orjson.loads(value or b"")
        return PublishedHead(Chain(said["topic"], said["partition"]), int(said["seq"]), bytes.fromhex(said["hash"]))
    except (ValueError, KeyError, TypeError):
        return None


class Heads:
    """Publishes the heads of this worker's partitions; what Kafka does not take is tried again with the next look."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._sender = Sender(bootstrap_servers, topic, seconds=ACKNOWLEDGED_SECONDS)
        self._published: dict[Chain, tuple[int, float]] = {}
        """Of each chain the place last published, and when."""

    async def look(self, connection: asyncpg.Connection, places: Iterable[tuple[str, int]]) -> None:
        """Publish the heads that are due. Raises asyncpg's errors as they are; what fails with Kafka is logged."""
        chains = sorted(set(places))
        if not chains:
            return
        topics, partitions = [list(column) for column in zip(*chains, strict=True)]
        rows = await connection.fetch(query("audit", "load_heads"), topics, partitions)
        now = time.monotonic()
        due = []
        for row in rows:
            chain, head = Chain(row["topic"], row["log_partition"]), Head(row["seq"], row["hash"], row["log_offset"])
            seq, at = self._published.get(chain, (-1, float("-inf")))
            if seq != head.seq and (now - at >= PUBLISH_SECONDS or head.seq - seq >= ROWS_UNPUBLISHED):
                due.append((chain, head))
        if due:
            await self._publish(due, now)

    async def _publish(self, due: Iterable[tuple[Chain, Head]], now: float) -> None:
        try:
            await self._sender.send(Outgoing(*encode_head(chain, head)) for chain, head in due)
        except (KafkaError, OSError) as error:
            log.warning("the audit trail's heads were not published", error=f"{type(error).__name__}: {error}")
            return
        self._published.update({chain: (head.seq, now) for chain, head in due})

    async def close(self) -> None:
        """Close the connection, if there is one."""
        await self._sender.close()
