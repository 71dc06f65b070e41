"""The streams' state folded anew from the log, compared with the live one, written where it differs.

What is written is a new version of the same keys: an aggregate that has applied at least what the live one had, and
entries at that offset; a restore takes them for the newest. Partition by partition, and in a partition as a lane does
it: what is owed to the bot, the ledger, the aggregates, the committed offset. A rebuild that was cut off has written
only what the next one finds equal. Letters are never sent again, and of tier changes only the net ones: where the tier
is another than the last one told on bot.tier-changes.

No worker may be at work: it has the live state in memory, and would write that over it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import aiokafka
from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, GroupCoordinatorNotAvailableError

from schemas.codec import Decoder
from schemas.errors import ConfigurationError
from schemas.kafka.connection import client_options
from schemas.kafka.consumer_stop import stop_consumer
from schemas.kafka.log_reading import accept_any_header_name
from schemas.records import Place
from schemas.topics import Topics

from . import aggregate, belonging, ledger
from .aggregate import UserAggregate
from .batch import Cause, fold_batch, tier_change
from .belonging import NO_LOG, Note
from .fold import TierDecision
from .ledger import Entry
from .preflight import check_topics
from .settings import Settings
from .state import PartitionState
from .transport import OutgoingRecord

SOURCE: Final = "botpulse:/rebuild"
BATCH_RECORDS: Final = 20_000
FETCH_BYTES: Final = 4 * 1024 * 1024

Progress = Callable[[int, int], None]
"""Called with the records read and the records to read."""


class Difference(NamedTuple):
    """A key whose live value is another: `live` and `rebuilt` hold the members that differ."""

    topic: str
    key: str
    live: dict[str, Any]
    rebuilt: dict[str, Any]


@dataclass
class Rebuilt:
    """One partition: what it was compared by, and what would make the live state the rebuilt one."""

    partition: int
    offset: int
    """Up to where the group has committed."""
    users: int = 0
    entries: int = 0
    differences: list[Difference] = field(default_factory=list)
    aggregates: list[OutgoingRecord] = field(default_factory=list)
    ledger: list[OutgoingRecord] = field(default_factory=list)
    tier_changes: list[OutgoingRecord] = field(default_factory=list)
    applied: int = -1

    @property
    def differs(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.differences or self.tier_changes)


class Rebuild:
    """Compare first, then `write`; both need the group without members.

    Raises ConfigurationError where a worker is at work.
    """

    def __init__(self, settings: Settings, partition_count: int) -> None:
        self._servers = settings.bootstrap_servers
        self._topics = settings.topics
        self._session_seconds = settings.session_timeout_seconds
        self._decoder = Decoder(partition_count)
        self.partitions = range(partition_count)

    @classmethod
    async def of(cls, settings: Settings) -> Rebuild:
        """A rebuild of this installation. Raises ConfigurationError as the service does at its start."""
        return cls(settings, await check_topics(settings))

    async def check_alone(self) -> None:
        """Wait until the broker has forgotten the workers that ended. Raises ConfigurationError when one stays."""
        group = self._topics.streams_group
        admin = AIOKafkaAdminClient(**client_options(self._servers))
        await admin.start()
        try:
            async with asyncio.timeout(self._session_seconds + 5):
                while await _members(admin, group):  # noqa: ASYNC110  # a broker sets no event
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise ConfigurationError(
                f"a worker of the group {group} is at work: stop every `python -m streams` first, a rebuild writes "
                "beneath what they hold in memory"
            ) from None
        finally:
            await admin.close()

    async def compare(self, partition: int, progress: Progress) -> Rebuilt:
        """Fold the partition's log anew and say how its live state differs."""
        source = TopicPartition(self._topics.events.name, partition)
        done = await belonging.committed(self._servers, self._topics.streams_group, source)
        live = await self._live(partition)
        fresh = PartitionState()
        known = {key: aggregate.applied_of(value) for key, value in live.users().items()}
        end = max(done.offset, live.greatest_applied + 1)
        log_end = await self._end_of(source)
        if end > log_end:
            raise ConfigurationError(
                f"{source.topic}/{partition} ends at {log_end}, and {end} was applied: the log is not whole. {NO_LOG}"
            )
        async for records in self._read(source, end, progress):
            # Beyond the committed offset a crash may have left some users further than others.
            applied = [r for r in records if r.offset < done.offset or r.offset <= known.get(r.key, -1)]
            outcome = fold_batch(applied, Place(*source), self._decoder, fresh)
            fresh.stored(*fresh.changes(), outcome.applied)
        rebuilt = Rebuilt(partition, done.offset, len(fresh.users()), len(fresh.entries()))
        rebuilt.applied = max(fresh.greatest_applied, live.greatest_applied)
        _compare_users(rebuilt, self._topics, live, fresh)
        _compare_entries(rebuilt, self._topics, live, fresh)
        rebuilt.tier_changes = list(_net_changes(fresh, await self._told(partition), source))
        return rebuilt

    async def write(self, rebuilt: Rebuilt) -> None:
        """Make the live state the rebuilt one, all acknowledged. Raises ConfigurationError when a worker began."""
        topics, partition = self._topics, rebuilt.partition
        producer = aiokafka.AIOKafkaProducer(
            **client_options(self._servers), acks="all", enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        try:
            for topic, records in (
                (topics.tier_changes, rebuilt.tier_changes),
                (topics.user_ledger, rebuilt.ledger),
                (topics.user_aggregates, rebuilt.aggregates),
            ):
                sent = [
                    await producer.send(topic.name, r.value, key=r.key, partition=partition, headers=r.headers)
                    for r in records
                ]
                await asyncio.gather(*sent)
        finally:
            await producer.stop()
        await self._commit(rebuilt)

    async def _commit(self, rebuilt: Rebuilt) -> None:
        """Commit what was committed before, with a note of where the changelogs end now."""
        group, place = self._topics.streams_group, TopicPartition(self._topics.events.name, rebuilt.partition)
        changelogs = [TopicPartition(t.name, rebuilt.partition) for t in _changelogs(self._topics)]
        async with _consumer(self._servers, group_id=group) as consumer:
            ends = await consumer.end_offsets(changelogs)
            consumer.assign([place])
            note = Note(rebuilt.applied, *(ends[tp] for tp in changelogs))
            try:
                await consumer.commit({place: OffsetAndMetadata(rebuilt.offset, note.encode())})
            except CommitFailedError:
                raise ConfigurationError(
                    f"a worker of the group {group} began while the state was written: stop it and rebuild once more"
                ) from None

    async def _live(self, partition: int) -> PartitionState:
        state = PartitionState()
        users, entries = (TopicPartition(t.name, partition) for t in _changelogs(self._topics))
        async for records in self._read(users, None, lambda *_: None):
            state.merge_users(records)
        async for records in self._read(entries, None, lambda *_: None):
            state.merge_entries(records)
        return state

    async def _told(self, partition: int) -> dict[str, str]:
        """The last tier that the bot was told of every user."""
        told: dict[str, str] = {}
        async for record in self._all_of(TopicPartition(self._topics.tier_changes.name, partition)):
            told[record.key.decode()] = json.loads(record.value)["data"]["current"]
        return told

    async def _end_of(self, place: TopicPartition) -> int:
        async with _consumer(self._servers) as consumer:
            return int((await consumer.end_offsets([place]))[place])

    async def _all_of(self, place: TopicPartition) -> AsyncIterator[Any]:
        async for records in self._read(place, None, lambda *_: None):
            for record in records:
                yield record

    async def _read(self, place: TopicPartition, end: int | None, progress: Progress) -> AsyncIterator[list[Any]]:
        async with _consumer(
            self._servers, isolation_level="read_committed", max_partition_fetch_bytes=FETCH_BYTES
        ) as consumer:
            consumer.assign([place])
            begin = (await consumer.beginning_offsets([place]))[place]
            end = (await consumer.end_offsets([place]))[place] if end is None else end
            consumer.seek(place, begin)
            while (position := await consumer.position(place)) < end:
                progress(position - begin, end - begin)
                for records in (await consumer.getmany(timeout_ms=200, max_records=BATCH_RECORDS)).values():
                    yield [record for record in records if record.offset < end]


def _changelogs(topics: Topics) -> tuple[Any, Any]:
    return topics.user_aggregates, topics.user_ledger


@asynccontextmanager
async def _consumer(bootstrap_servers: str, **options: Any) -> AsyncIterator[Any]:
    accept_any_header_name()
    consumer = aiokafka.AIOKafkaConsumer(**client_options(bootstrap_servers), enable_auto_commit=False, **options)
    await consumer.start()
    try:
        yield consumer
    finally:
        await stop_consumer(consumer)


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    try:
        (description,) = await admin.describe_consumer_groups([group])
    except GroupCoordinatorNotAvailableError:
        return 0  # the broker makes its topic of offsets when the first group asks for it
    return sum(len(found[5]) for found in description.groups)


def _compare_users(rebuilt: Rebuilt, topics: Topics, live: PartitionState, fresh: PartitionState) -> None:
    for key in sorted(live.users().keys() | fresh.users().keys()):
        before, after = live.users().get(key), fresh.users().get(key)
        if before == after:
            continue
        old = UserAggregate() if before is None else aggregate.decode(before)
        new = UserAggregate() if after is None else aggregate.decode(after)
        new.applied = max(new.applied, old.applied)
        differs = [name for name in UserAggregate.__slots__ if getattr(old, name) != getattr(new, name)]
        if differs:
            rebuilt.differences.append(
                Difference(
                    topics.user_aggregates.name, key.decode(), _members_of(old, differs), _members_of(new, differs)
                )
            )
            rebuilt.aggregates.append(OutgoingRecord(key, new.encode()))


def _compare_entries(rebuilt: Rebuilt, topics: Topics, live: PartitionState, fresh: PartitionState) -> None:
    applied = {key: aggregate.applied_of(value) for key, value in live.users().items()}
    for key, value in fresh.users().items():
        applied[key] = max(applied.get(key, -1), aggregate.applied_of(value))
    for key in sorted(live.entries().keys() | fresh.entries().keys()):
        kind = key.split(b":", 2)[1].decode()
        known = applied.get(key.split(b":", 1)[0], -1)
        old, new = (
            ledger.decode(key, found) if (found := state.entries().get(key)) is not None else Entry(kind)
            for state in (live, fresh)
        )
        old.forget_after(known)
        if old.newest != new.newest:
            differs = [name for name in old.newest._fields if getattr(old.newest, name) != getattr(new.newest, name)]
            rebuilt.differences.append(
                Difference(
                    topics.user_ledger.name,
                    key.decode(),
                    _members_of(old.newest, differs),
                    _members_of(new.newest, differs),
                )
            )
            rebuilt.ledger.append(OutgoingRecord(key, Entry(kind, [(known, new.newest)]).encode()))


def _members_of(value: Any, names: list[str]) -> dict[str, Any]:
    members = {name: getattr(value, name) for name in names}
    return {name: found.decode() if isinstance(found, bytes) else found for name, found in members.items()}


def _net_changes(fresh: PartitionState, told: dict[str, str], source: TopicPartition) -> Iterator[OutgoingRecord]:
    for key, value in sorted(fresh.users().items()):
        subject = key.decode()
        user = aggregate.decode(value)
        previous = told.get(subject, UserAggregate().tier)
        if user.tier != previous:
            cause = Cause(SOURCE, f"{source.topic}/{source.partition}/{user.applied}", user.at_ms)
            decision = TierDecision(previous, user.tier, user.purchases, user.spent_cents)
            yield tier_change(subject, cause, decision, user.rules)
