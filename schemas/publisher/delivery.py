"""Where events go: to Kafka while it acknowledges in time, to the spool while it doesn't, and from there to Kafka."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError

from ..errors import NotAcknowledged, NotPublished, SpoolFull
from .kafka import REFUSED_FOR_GOOD, Headers, KafkaLog
from .settings import Settings
from .spool import Spool
from .status import Accepted

_log = logging.getLogger("botpulse.publisher")

LAST_STRETCH: Final = 1000
"""Spooled events that are sent while new ones wait in memory for their turn."""


class Given(NamedTuple):
    """An event whose caller waits for `accepted`; without `may_spool` only Kafka's acknowledgement counts."""

    key: bytes
    value: bytes
    may_spool: bool
    accepted: asyncio.Future[Accepted]
    headers: Headers = ()
    """Beside those of every event; they are not kept in the spool."""


class Delivery:
    """Live, every batch is sent to Kafka. One that is not acknowledged makes it away: from then on every batch goes to
    the spool, until `catch_up` has sent the spool to its end. So the order is kept across both.
    """

    def __init__(self, log: KafkaLog, spool: Spool | None, settings: Settings) -> None:
        self.live = False
        self.acknowledged = 0
        self.refused = 0
        self.last_error: str | None = None
        self.caught_up = asyncio.Event()
        """Set while nothing waits in the spool and Kafka is there."""
        self._log = log
        self._spool = spool
        self._settings = settings
        self._turn = asyncio.Lock()
        self._away = asyncio.Event()
        self._away.set()

    @property
    def spooled(self) -> int:
        """How many events wait in the spool."""
        return self._spool.events if self._spool is not None else 0

    async def accept(self, batch: list[Given]) -> None:
        """Bring every event of the batch to Kafka or to the spool, or tell its caller that it is not accepted."""
        async with self._turn:
            if self.live:
                batch = await self._send(batch)
            if batch:
                await self._keep(batch)

    def room_for(self, events: Sequence[tuple[bytes, bytes]]) -> int:
        """How many of these events (key, value), from the first on, the spool can take."""
        spool, settings = self._spool, self._settings
        if spool is None:
            return 0
        size = spool.bytes
        for number, (key, value) in enumerate(events):
            size += len(key) + len(value)
            if spool.events + number >= settings.spool_events or size > settings.spool_bytes:
                return number
        return len(events)

    def full(self) -> SpoolFull:
        """The error of an event that the spool can't take."""
        return SpoolFull(f"Kafka is away ({self.last_error}) and the spool is full: {self.spooled} events wait in it")

    async def _send(self, batch: list[Given]) -> list[Given]:
        """Send to Kafka; returns what is not acknowledged, in its order."""
        outcomes = await self._log.send([(given.key, given.value, given.headers) for given in batch])
        left = []
        for given, error in zip(batch, outcomes, strict=True):
            if error is None:
                self.acknowledged += 1
                _settle(given, Accepted.LOG)
            elif isinstance(error, REFUSED_FOR_GOOD):
                self._refuse([given], NotAcknowledged(f"Kafka refuses the event for good: {_told(error)}"))
            else:
                left.append(given)
                self.last_error = _told(error)
        if left:
            _log.warning("Kafka is away (%s); events go to the spool", self.last_error)
            self._log.drop()
            self.live = False
            self.caught_up.clear()
            self._away.set()
        return left

    async def _keep(self, batch: list[Given]) -> None:
        """Write to the spool what may go there and fits; everything else is refused."""
        spool = self._spool
        if spool is None or not all(given.may_spool for given in batch):
            reason = self.last_error or "what waits in the spool goes first"
            only_kafka = [given for given in batch if spool is None or not given.may_spool]
            self._refuse(only_kafka, NotAcknowledged(f"Kafka did not acknowledge the event: {reason}"))
            batch = [given for given in batch if spool is not None and given.may_spool]
        if spool is None or not batch:
            return
        events = [(given.key, given.value) for given in batch]
        fitting = self.room_for(events)
        error = self.full()
        try:
            if fitting:
                await spool.append(events[:fitting])
        except sqlite3.Error as failure:
            fitting, error = 0, SpoolFull(f"Kafka is away, and the spool can't be written: {failure}")
        for given in batch[:fitting]:
            _settle(given, Accepted.SPOOL)
        self._refuse(batch[fitting:], error)

    def _refuse(self, events: Sequence[Given], error: NotPublished) -> None:
        self.refused += len(events)
        refuse(events, error)

    async def catch_up(self) -> None:
        """For ever: whenever Kafka is away look for it, and send what waits in the spool, oldest first."""
        while True:
            await self._away.wait()
            try:
                done = await self._drain()
            except sqlite3.Error as error:
                _log.error("the spool can't be read: %s", error)
                done = False
            if not done:
                await asyncio.sleep(self._settings.retry_seconds)

    async def _drain(self) -> bool:
        """Send from the spool until it is empty, then be live; False when Kafka doesn't take it."""
        if not self._log.connected and not await self.connect():
            return False
        while self.spooled > LAST_STRETCH:
            if not await self._drain_some():
                return False
        # Nothing is added to the last ones: a busy bot would stay ahead of us for ever.
        async with self._turn:
            while self.spooled:
                if not await self._drain_some():
                    return False
            self.live = True
            self.last_error = None
            self._away.clear()
            self.caught_up.set()
        return True

    async def _drain_some(self) -> bool:
        spool = self._spool
        assert spool is not None
        events = await spool.head()
        outcomes = await self._log.send([(spooled.key, spooled.value, ()) for spooled in events])
        gone = [spooled for spooled, error in zip(events, outcomes, strict=True) if error is None]
        await spool.remove(gone)
        self.acknowledged += len(gone)
        failed = False
        for spooled, error in zip(events, outcomes, strict=True):
            if isinstance(error, REFUSED_FOR_GOOD):
                await spool.put_aside([spooled.position], f"Kafka refuses it for good: {_told(error)}")
            elif error is not None:
                self.last_error, failed = _told(error), True
        if failed:
            self._log.drop()
        return not failed

    async def connect(self) -> bool:
        """Look for Kafka; whether it is there. Raises ConfigurationError for an option that aiokafka refuses."""
        try:
            await self._log.connect()
        except (KafkaError, OSError, TimeoutError) as error:
            reason = _told(error)
            if reason != self.last_error:
                _log.warning("Kafka is away (%s); events go to the spool", reason)
            self.last_error = reason
            return False
        return True


def refuse(events: Sequence[Given], error: NotPublished) -> None:
    """Tell the callers of these events that they are not accepted."""
    for given in events:
        if not given.accepted.done():
            given.accepted.set_exception(type(error)(*error.args))


def _settle(given: Given, accepted: Accepted) -> None:
    if not given.accepted.done():  # its caller may have been cancelled
        given.accepted.set_result(accepted)


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
