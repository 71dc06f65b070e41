"""The publisher: what it accepted reaches the log, in each user's order, whatever happens to Kafka or to the bot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import uuid
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from ..codec import encode, key_of
from ..envelope import Envelope
from ..errors import ConfigurationError, NotPublished, QueueFull
from ..kafka.connection import KafkaSecurity
from ..process.tracing import current_header
from ..topics import Topics
from .delivery import Delivery, Given, refuse
from .kafka import KafkaLog
from .settings import Settings
from .spool import Spool
from .status import Accepted, Status
from .store import Store

E = TypeVar("E", bound=Envelope)

_log = logging.getLogger("botpulse.publisher")

_TAKEN: Final = 1000
"""Events that are sent to Kafka, or written to the spool, in one go."""


class Publisher:
    """Publishes events from a running event loop; use it as an async context manager.

    An event is *accepted* when it is acknowledged by Kafka or, while Kafka is away, synced to the spool. What was
    accepted survives a kill -9. A second copy may reach the log after a crash or a lost acknowledgement: with the same
    source, id and time it is the same event, and counts once.

    While anything waits in the spool, later events queue behind it, so that a user's events keep their order.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        source: str,
        spool: Path | str | None,
        topic: str = "bot.events",
        settings: Settings | None = None,
        **kafka: Any,
    ) -> None:
        """`source` names this bot in its events; `spool` is the file for events while Kafka is away (None: no file).

        `kafka` are further options of AIOKafkaProducer, for instance for TLS and SASL.
        """
        self.source = source
        self.settings = settings or Settings()
        self.store = Store(Path(spool)) if spool is not None else None
        self._spool = Spool(self.store) if self.store is not None else None
        self._kafka = KafkaLog(bootstrap_servers, topic, self.settings.acknowledge_seconds, kafka)
        self._delivery = Delivery(self._kafka, self._spool, self.settings)
        self._queue: deque[Given] = deque()
        self._given = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self._too_many = 0
        self._unheard = 0

    @classmethod
    def from_environment(cls, *, source: str, **options: Any) -> Self:
        """A publisher from KAFKA_BOOTSTRAP_SERVERS, BOTPULSE_TOPIC_PREFIX, BOTPULSE_SPOOL, and for TLS and SASL the
        settings of `kafka.connection`.

        The spool's default is `botpulse-spool.db` in the working folder. Raises ConfigurationError when
        KAFKA_BOOTSTRAP_SERVERS is missing or one of the others is wrong.
        """
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if not servers:
            raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS is not set: host:port of one or more brokers")
        topic = Topics.from_environment().events.name
        spool = os.environ.get("BOTPULSE_SPOOL") or "botpulse-spool.db"
        options = {**KafkaSecurity.from_environment().options(), **options}
        return cls(servers, source=source, topic=topic, spool=spool, **options)

    async def __aenter__(self) -> Self:
        """Open the spool and look for Kafka; that Kafka is away is no error.

        Raises ConfigurationError when the spool or a Kafka option can't be used.
        """
        try:
            if self.store is not None and self._spool is not None:
                await self.store.open()
                await self._spool.open()
            await self._delivery.connect()
        except BaseException:
            await self._shut()
            raise
        start = asyncio.get_running_loop().create_task
        self._tasks = [
            start(self._intake(), name="botpulse-intake"),
            start(self._delivery.catch_up(), name="botpulse-catch-up"),
        ]
        self._open = True
        if self._kafka.connected and not self._delivery.spooled:
            await self._delivery.caught_up.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def new(
        self,
        event_class: type[E],
        subject: int | str,
        data: dict[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002
        time: datetime | None = None,
    ) -> E:
        """Return a new event of this bot about `subject` (a telegram_id, or `content:<content_id>`).

        `id` and `time` default to a random one and to now. Raises ValidationError, or InvalidEvent for a number beyond
        a limit, naming the member.
        """
        members: dict[str, Any] = {} if data is None else {"data": data}
        return event_class(
            id=id or uuid.uuid4().hex,
            source=self.source,
            subject=str(subject),
            time=time or datetime.now(UTC),
            datacontenttype="application/json",
            **members,
        )

    async def publish(self, event: Envelope, *, spool: bool = True) -> Accepted:
        """Return when the event is accepted, and where.

        With `spool=False` only Kafka's acknowledgement counts. Raises InvalidEvent for text that the contract's syntax
        forbids, else a NotPublished: QueueFull, SpoolFull, NotAcknowledged. A cancelled call leaves open whether the
        event was accepted: publish the same event again.
        """
        return await self._give(event, spool)

    def publish_nowait(self, event: Envelope) -> asyncio.Future[Accepted]:
        """Take the event into memory and return at once; until the returned future is done, a crash can lose it.

        Raises as `publish`. A future that fails later is logged and counted too, and `close` raises, so that an event
        is never dropped in silence.
        """
        if self._open and not self._delivery.live and self._spool is not None:
            event_size = (key_of(event), b"")
            if not self._delivery.room_for([event_size]):
                self._too_many += 1
                raise self._delivery.full()
        future = self._give(event, may_spool=True)
        future.add_done_callback(self._heard)
        return future

    async def flush(self) -> None:
        """Return when all that was given so far is accepted, or refused."""
        await self._idle.wait()

    async def close(self) -> None:
        """Accept what was given, send what Kafka takes within `drain_seconds`, and end.

        What is left in the spool is sent by the next start. Raises NotPublished when events of `publish_nowait` could
        not be accepted.
        """
        if not self._open:
            return
        self._open = False
        try:
            await self.flush()
            if self._kafka.connected:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._delivery.caught_up.wait(), self.settings.drain_seconds)
        finally:
            await self._shut()
        if self._unheard:
            raise NotPublished(f"{self._unheard} events that were given without waiting were not accepted")

    @property
    def status(self) -> Status:
        """How it is doing."""
        spool, delivery = self._spool, self._delivery
        return Status(
            connected=delivery.live,
            waiting=len(self._queue),
            acknowledged=delivery.acknowledged,
            spooled=spool.events if spool else 0,
            spooled_bytes=spool.bytes if spool else 0,
            refused=delivery.refused + self._too_many,
            set_aside=spool.set_aside if spool else 0,
            last_error=delivery.last_error,
        )

    def _give(self, event: Envelope, may_spool: bool) -> asyncio.Future[Accepted]:
        key, value = key_of(event), encode(event)
        if not self._open:
            raise NotPublished("the publisher is not open: use it inside `async with`")
        for task in self._tasks:
            if task.done():
                raise NotPublished("the publisher has stopped after an unexpected error")
        if len(self._queue) >= self.settings.queue_events:
            self._too_many += 1
            raise QueueFull(f"{len(self._queue)} events wait in memory for Kafka or the spool: publish more slowly")
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._queue.append(Given(key, value, may_spool, future, current_header()))
        self._given.set()
        self._idle.clear()
        return future

    def _heard(self, future: asyncio.Future[Accepted]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._unheard += 1
            _log.error("an event that was given without waiting is not accepted: %s", error)

    async def _intake(self) -> None:
        """One batch after the other: what comes in while one is on its way is the next."""
        batch: list[Given] = []
        try:
            while True:
                await self._given.wait()
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), _TAKEN))]
                await self._delivery.accept(batch)
                if not self._queue:
                    self._given.clear()
                    self._idle.set()
        except BaseException as error:
            refuse([*batch, *self._queue], NotPublished(f"the publisher has stopped: {error!r}"))
            self._queue.clear()
            self._idle.set()
            raise

    async def _shut(self) -> None:
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._kafka.close()
        if self.store is not None:
            await self.store.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
