"""The tracker: takes updates in their order, publishes their events, and never gets in a bot's way."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..envelope import UserEvent
from ..errors import BotpulseError
from ..events import UserProfileChanged, UserRegistered
from ..publisher import Accepted, Publisher
from ..publisher.kept import Kept
from ..publisher.links import THROUGH_TELEGRAM, Links
from ..rates import NoRate
from .facts import Fact, date_of, facts_of, person_of, sent_fact, start_payload
from .memory import Memory, Profile
from .options import Options
from .payments import provider_charge_of

Json = Mapping[str, Any]

_log = logging.getLogger("botpulse.telegram")

_LONGEST: Final = 512
_USERNAME_LONGEST: Final = 64
KEPT_KIND: Final = "telegram"


Begun = tuple[asyncio.Future[Accepted], tuple[int, Profile] | None]
"""An event on its way, and the profile to remember once it is accepted."""


@dataclass(slots=True)
class Counts:
    """Since the tracker's start; `kept` are updates with money that wait for a rate."""

    updates: int = 0
    events: int = 0
    errors: int = 0
    kept: int = 0


class Tracker:
    """Publishes what updates say. Give it every update, in the order of arrival.

    Nothing here raises to the bot: an error is logged without personal data and counted. Event ids follow from the
    update id, so that an update that Telegram gives twice is one event.
    """

    def __init__(self, publisher: Publisher, options: Options | None = None, *, queue_updates: int = 10_000) -> None:
        self.options = options or Options()
        self.counts = Counts()
        self._publisher = publisher
        self._memory = Memory(publisher.store)
        self._kept = Kept(publisher.store, KEPT_KIND)
        self._links = Links(publisher.store)
        self._waiting: deque[tuple[Callable[[], Json], bool, asyncio.Future[None]]] = deque()
        self._most = queue_updates
        self._worker: asyncio.Task[None] | None = None
        self._unaccepted: set[asyncio.Future[None]] = set()

    def take(self, update: Json | Callable[[], Json]) -> asyncio.Future[None]:
        """Take an update, as the Bot API's JSON or as what makes it, and return at once.

        The future is done when the update's events are accepted, or have failed; it never has an exception.
        """
        return self._take(update, sent=False)

    def sent(self, message: Json | Callable[[], Json]) -> asyncio.Future[None]:
        """Take a message that the bot has sent, as the Bot API returned it. As `take`."""
        return self._take(message, sent=True)

    async def drain(self) -> None:
        """Return when everything that was taken is accepted, or has failed."""
        while self._worker is not None or self._unaccepted:
            await asyncio.wait([*self._unaccepted, *([self._worker] if self._worker else [])])

    async def retry_kept(self) -> int:
        """Try again the updates that waited for a rate; returns how many still do. Call it at the bot's start."""
        for name, content in await self._kept.all():
            try:
                list(facts_of(content, self.options))
            except NoRate:
                continue
            if await self._handled(content, sent=False):
                await self._kept.forget(name)
        self.counts.kept = await self._kept.count()
        return self.counts.kept

    def _take(self, content: Json | Callable[[], Json], *, sent: bool) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= self._most:
            self._failed("too many updates wait: this one is not published")
            future.set_result(None)
            return future
        self._waiting.append((content if callable(content) else lambda: content, sent, future))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name="botpulse-tracker")
        return future

    async def _work(self) -> None:
        try:
            while self._waiting:
                make, sent, future = self._waiting.popleft()
                self.counts.updates += 1
                try:
                    accepted = await self._begin(make(), sent=sent)
                except Exception as error:  # noqa: BLE001
                    self._failed(f"an update is not published: {_named(error)}")
                    future.set_result(None)
                    continue
                # Kafka may take its time: the next update does not wait for it, only its turn in the publisher.
                finishing = asyncio.get_running_loop().create_task(self._finish(accepted, future))
                self._unaccepted.add(finishing)
                finishing.add_done_callback(self._unaccepted.discard)
        finally:
            self._worker = None

    async def _handled(self, content: Json, *, sent: bool) -> bool:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        errors = self.counts.errors
        await self._finish(await self._begin(content, sent=sent), done)
        return self.counts.errors == errors

    async def _begin(self, content: Json, *, sent: bool) -> list[Begun]:
        if sent:
            fact = sent_fact(content)
            name = f"sent:{content['chat']['id']}:{content['message_id']}"
            return [] if fact is None else [self._publish(fact, name)]
        update_id = content["update_id"]
        begun: list[Begun] = []
        person = person_of(content)
        if person is not None:
            try:
                begun += await self._profile(content, person, update_id)
            except Exception as error:  # noqa: BLE001
                self._failed(f"a profile is not published: {_named(error)}")
        try:
            facts = list(facts_of(content, self.options))
        except NoRate as error:
            await self._kept.keep(str(update_id), content, str(error))
            self.counts.kept += 1
            self._failed(f"an update with money is kept until there is a rate: {error}")
            return begun
        charge = provider_charge_of(content)
        if person is not None and charge is not None:
            await self._links.learn([THROUGH_TELEGRAM + charge], person["id"])
        for fact in facts:
            if fact.time is None:
                fact = fact._replace(time=await self._memory.moment(update_id))
            begun.append(self._publish(fact, _id(update_id, fact.event_class)))
        return begun

    async def _profile(self, update: Json, person: Json, update_id: int) -> list[Begun]:
        """Publish a user's registration at the first sight, later what has changed of the profile."""
        user, profile = person["id"], self._profile_of(person)
        known = await self._memory.profile(user)
        if known == profile:
            return []
        changed: dict[str, Any]
        event_class: type[UserEvent]
        if known is None:
            event_class, changed = UserRegistered, {name: value for name, value in profile.items() if value is not None}
            payload = start_payload(update)
            referrer = None if payload is None else self.options.referrer_of(payload)
            if referrer is not None and referrer != user:
                changed["referred_by"] = referrer
        else:
            event_class = UserProfileChanged
            changed = {name: value for name, value in profile.items() if known.get(name) != value}
        time = date_of(update) or await self._memory.moment(update_id)
        fact = Fact(event_class, user, changed, time)
        future, _ = self._publish(fact, _id(update_id, event_class))
        # The next update of this user is compared with this one already.
        self._memory.hold(user, profile)
        return [(future, (user, profile))]

    def _profile_of(self, person: Json) -> Profile:
        found = {
            "username": _cut(person.get("username"), _USERNAME_LONGEST),
            "first_name": _cut(person.get("first_name"), _LONGEST),
            "last_name": _cut(person.get("last_name"), _LONGEST),
            "language": _cut(person.get("language_code"), _LONGEST),
            "is_premium": bool(person.get("is_premium", False)),
        }
        return {name: found[name] for name in self.options.profile}

    def _publish(self, fact: Fact, id: str) -> Begun:  # noqa: A002
        event = self._publisher.new(fact.event_class, fact.telegram_id, fact.data, id=id, time=fact.time)
        return self._publisher.publish_nowait(event), None

    async def _finish(self, begun: list[Begun], done: asyncio.Future[None]) -> None:
        for future, remembered in begun:
            try:
                await future
                self.counts.events += 1
                if remembered is not None:
                    await self._memory.keep_profile(*remembered)
            except Exception as error:  # noqa: BLE001
                self._failed(f"an event is not published: {_named(error)}")
                if remembered is not None:
                    self._memory.forget(remembered[0])
        if not done.done():
            done.set_result(None)

    def _failed(self, message: str) -> None:
        self.counts.errors += 1
        _log.error("%s", message)


def _id(update_id: int, event_class: type[UserEvent]) -> str:
    fact = event_class.model_fields["type"].default.split(".", 1)[1].rpartition(".")[0]
    return f"update:{update_id}:{fact}"


def _cut(text: str | None, longest: int) -> str | None:
    return None if text is None else text[:longest]


def _named(error: Exception) -> str:
    """The kind of an error, and its text only where that is ours: a foreign one may quote the update."""
    return str(error) if isinstance(error, BotpulseError) else type(error).__name__
