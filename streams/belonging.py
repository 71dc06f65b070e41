"""Do committed offsets and changelog topics belong together?

A changelog topic that was lost or made anew while the group's offsets stayed would let a worker go on from an empty
state, and nobody would notice. So every commit of bot.events carries a note, in Kafka's own field for it, of how far
the changelogs had come; topics that end before that are not the ones that the commit was made beside.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiokafka
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas.codec import Decoder
from schemas.errors import ConfigurationError, InvalidEvent
from schemas.kafka.connection import client_options
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import accept_any_header_name

REPAIR = (
    "Nothing was folded. Bring the topics back as they were, or stop every worker and let "
    "`botpulse rebuild --streams` fold the log again"
)

NO_LOG = (
    "Bring the log back as it was; a log that begins anew needs topics that begin anew with it "
    "(setting BOTPULSE_TOPIC_PREFIX)"
)


class Note(NamedTuple):
    """How far the changelogs of a partition had come: the greatest applied offset, and where each topic ended."""

    applied: int
    aggregates_end: int
    ledger_end: int

    def encode(self) -> str:
        """The text that is committed."""
        return json.dumps({"v": 1, **self._asdict()}, separators=(",", ":"))


class Committed(NamedTuple):
    """What the group has committed of a partition; `note` is None where another program did."""

    offset: int
    note: Note | None


def read_note(text: str | None) -> Note | None:
    """A note as `Note.encode` wrote it; None for any other text."""
    try:
        document = json.loads(text or "")
        return Note(*(int(document[name]) for name in Note._fields)) if document["v"] == 1 else None
    except (ValueError, KeyError, TypeError):
        return None


async def committed(bootstrap_servers: str, group: str, source: TopicPartition, timeout_ms: int = 40_000) -> Committed:
    """What the group has committed of this partition, offset 0 where nothing."""
    admin = AIOKafkaAdminClient(**client_options(bootstrap_servers), request_timeout_ms=timeout_ms)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group, partitions=[source])
    except GroupCoordinatorNotAvailableError:
        return Committed(0, None)  # the broker makes its topic of offsets when the first group asks for it
    finally:
        await admin.close()
    place = found.get(source)
    return (
        Committed(0, None) if place is None or place.offset < 0 else Committed(place.offset, read_note(place.metadata))
    )


def check_ends(done: Committed, group: str, ends: dict[str, int], source_end: int, source: TopicPartition) -> None:
    """Refuse topics that end before what was committed beside them; `ends` has aggregates and ledger, in this order."""
    if done.offset > source_end:
        raise ConfigurationError(
            f"{source.topic}/{source.partition} ends at {source_end}, the group {group} has committed {done.offset}: "
            f"the log was lost or made anew. Nothing was folded. {NO_LOG}"
        )
    if done.note is None:
        return
    for (topic, end), known in zip(ends.items(), (done.note.aggregates_end, done.note.ledger_end), strict=True):
        if end < known:
            raise ConfigurationError(
                f"{topic}/{source.partition} ends at {end}; it ended at {known} when the group {group} committed "
                f"{done.offset} of {source.topic}: it was lost or made anew. {REPAIR}"
            )


async def check_applied(
    done: Committed, group: str, applied: int, source: TopicPartition, topic: str, first_missing: Callable[[], Any]
) -> None:
    """Refuse a state that has applied less than was committed.

    Without a note, say after an older version, the log itself is asked: `first_missing` is the offset of the first
    event beyond `applied` that must have been applied, or None.
    """
    if done.note is not None:
        missing = done.note.applied if applied < done.note.applied else None
    else:
        missing = await first_missing() if applied + 1 < done.offset else None
    if missing is not None:
        raise ConfigurationError(
            f"{topic}/{source.partition} has applied up to {applied} of {source.topic}, where the group {group} has "
            f"committed {done.offset} and applied {missing}: records were lost, or the topic was made anew. {REPAIR}"
        )


async def first_event_of_a_user(
    bootstrap_servers: str, source: TopicPartition, begin: int, end: int, decoder: Decoder
) -> int | None:
    """The offset of the first valid event of a user from `begin` up to before `end`, None where there is none."""
    async with _reading(bootstrap_servers, source, begin) as consumer:
        while await consumer.position(source) < end:
            for records in (await consumer.getmany(timeout_ms=100, max_records=10_000)).values():
                for record in records:
                    if record.offset < end and _of_a_user(record, decoder):
                        return int(record.offset)
    return None


@asynccontextmanager
async def _reading(bootstrap_servers: str, place: TopicPartition, begin: int) -> AsyncIterator[Any]:
    accept_any_header_name()
    consumer = aiokafka.AIOKafkaConsumer(
        **client_options(bootstrap_servers), enable_auto_commit=False, isolation_level="read_committed"
    )
    await consumer.start()
    try:
        consumer.assign([place])
        beginnings = await consumer.beginning_offsets([place])
        consumer.seek(place, max(begin, beginnings[place]))
        yield consumer
    finally:
        await stop_consumer(consumer)


def _of_a_user(record: Any, decoder: Decoder) -> bool:
    try:
        return decoder.decode(record).subject.isdigit()
    except InvalidEvent:
        return False
