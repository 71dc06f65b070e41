"""The webhook: signature, meaning, whose it is, and an answer only when nothing can be lost any more."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import stripe
from pydantic import ValidationError

from ..envelope import UserEvent
from ..errors import InvalidEvent, NotPublished
from ..events import PaymentRefunded, PaymentRefundFailed
from ..fields import TELEGRAM_ID_MAX
from ..publisher import Publisher
from ..publisher.kept import Kept
from ..publisher.links import THROUGH_TELEGRAM, Links
from ..rates import NoRate
from .facts import PROVIDER, Reading, Refund, money, read
from .options import Options, Reference
from .refunds import RefundBook

Json = Mapping[str, Any]

_log = logging.getLogger("botpulse.stripe")

KEPT_KIND: Final = "stripe"
TOLERANCE_SECONDS: Final = 300
"""How old a signature may be."""


class Answer(NamedTuple):
    """What to answer Stripe: status and a line of text."""

    status: int
    detail: str


@dataclass(slots=True)
class Counts:
    """Since the start; `events` by Stripe's type, `ignored` by why."""

    events: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    refused_signatures: int = 0
    kept: int = 0


class Unresolved(Exception):  # noqa: N818
    """Nobody knows yet whose this is, or what it is worth."""


class StripeWebhook:
    """Publishes what Stripe tells. One instance to an endpoint; its memory is the publisher's store.

    200: published and acknowledged by Kafka, or of no meaning here. 202: kept on the disk until it is known whose it is
    (or until there is a rate). 400: not signed by Stripe. 503: nothing is safe yet, Stripe sends it again.
    """

    def __init__(self, publisher: Publisher, secret: str, options: Options | None = None) -> None:
        """`secret` is the endpoint's signing secret (whsec_…)."""
        self.options = options or Options()
        self.counts = Counts()
        self._publisher = publisher
        self._secret = secret
        self._links = Links(publisher.store)
        self._refunds = RefundBook(publisher.store)
        self._kept = Kept(publisher.store, KEPT_KIND)

    async def handle(self, payload: bytes, signature: str | None) -> Answer:
        """Take a request's body and its header `Stripe-Signature`."""
        try:
            stripe.WebhookSignature.verify_header(payload, signature, self._secret, TOLERANCE_SECONDS)
            event = json.loads(payload)
        except (stripe.SignatureVerificationError, ValueError) as error:
            self.counts.refused_signatures += 1
            # Whoever sent this is not Stripe: its bytes are not worth a line.
            _log.warning("a request without a valid signature of Stripe's is refused: %s", type(error).__name__)
            return Answer(400, "not signed by Stripe")
        return await self.take(event)

    async def take(self, event: Json) -> Answer:
        """Take an event that is known to be Stripe's."""
        try:
            meaningful = await self._published(event, spool=self.options.spool)
        except Unresolved as reason:
            return await self._keep(event, str(reason))
        except (KeyError, TypeError, ValueError, InvalidEvent) as error:
            return await self._keep(event, f"not as Stripe documents it: {_named(error)}")
        except (NotPublished, sqlite3.Error) as error:
            _log.warning("Stripe is to send %s again: %s", event.get("id"), error)
            return Answer(503, "not acknowledged yet: send it again")
        self.counts.events[event["type"]] += 1
        return Answer(200, "published" if meaningful else "of no meaning here")

    async def retry_kept(self) -> int:
        """Try again what is kept; returns how much still is. Call it at the start, and now and then."""
        learned = True
        while learned:
            learned = False
            for name, event in await self._kept.all():
                try:
                    await self._published(event, spool=True, retrying=True)
                except (Unresolved, NotPublished, InvalidEvent, KeyError, TypeError, ValueError, sqlite3.Error):
                    continue
                await self._kept.forget(name)
                learned = True
        self.counts.kept = await self._kept.count()
        return self.counts.kept

    async def _keep(self, event: Json, reason: str) -> Answer:
        try:
            await self._kept.keep(event["id"], event, reason)
            self.counts.kept = await self._kept.count()
        except (NotPublished, KeyError, sqlite3.Error) as error:
            _log.error("%s can't be kept: %s", event.get("id"), _named(error))
            return Answer(503, "can't be kept: send it again")
        _log.warning("%s (%s) is kept: %s", event["id"], event["type"], reason)
        return Answer(202, f"kept: {reason}")

    async def _published(self, event: Json, *, spool: bool, retrying: bool = False) -> bool:
        """Publish all that the event says; False where that is nothing."""
        try:
            reading = read(event, self.options.rates)
        except NoRate as error:
            raise Unresolved(str(error)) from None
        if reading is None:
            self.counts.ignored[str(event["type"])] += 1
            return False
        if await self._through_telegram(event["data"]["object"], reading.reference):
            self.counts.ignored["through Telegram Payments"] += 1
            return False
        telegram_id = await self._whose(reading.reference)
        if telegram_id is None:
            if not reading.facts and not reading.refunds:
                self.counts.ignored["nobody's"] += 1
                return False
            raise Unresolved("it is not known whose it is")
        await self._publish(event, reading, telegram_id, spool=spool)
        new = await self._links.learn(reading.reference.names(), telegram_id)
        if new and not retrying and await self._kept.count():
            await self.retry_kept()
        return bool(reading.facts or reading.refunds)

    async def _publish(self, event: Json, reading: Reading, telegram_id: int, *, spool: bool) -> None:
        facts = reading.facts + [await self._refund_fact(refund) for refund in reading.refunds]
        time = datetime.fromtimestamp(event["created"], UTC)
        for number, (event_class, data) in enumerate(facts):
            name = event["id"] if not number else f"{event['id']}:{number}"
            made = self._publisher.new(event_class, telegram_id, data, id=name, time=time)
            await self._publisher.publish(made, spool=spool)

    async def _refund_fact(self, refund: Refund) -> tuple[type[UserEvent], dict[str, Any]]:
        try:
            worth = money(refund.amount_minor, refund.currency, self.options.rates)
        except NoRate as error:
            raise Unresolved(str(error)) from None
        named = {**PROVIDER, "charge_id": refund.charge_id, "refund_id": await self._refunds.name(refund)}
        if refund.failed:
            return PaymentRefundFailed, named
        reason = {} if refund.reason is None else {"reason": refund.reason}
        return PaymentRefunded, {**named, **worth, **reason}

    async def _whose(self, reference: Reference) -> int | None:
        for told in (reference.metadata.get("telegram_id"), reference.client_reference_id):
            if (told_id := _telegram_id(told)) is not None:
                return told_id
        found = await self._links.find(reference.names())
        if found is None and self.options.resolve is not None:
            try:
                found = await self.options.resolve(reference)
            except Exception as error:  # noqa: BLE001
                _log.error("the option `resolve` failed: %s", type(error).__name__)
        return found

    async def _through_telegram(self, thing: Json, reference: Reference) -> bool:
        if self.options.through_telegram is not None and self.options.through_telegram(thing):
            return True
        names = [THROUGH_TELEGRAM + name for name in (reference.payment_intent, reference.charge) if name]
        return await self._links.find(names) is not None


def _telegram_id(text: Any) -> int | None:
    text = str(text)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else 0
    return number if 1 <= number <= TELEGRAM_ID_MAX else None


def _named(error: Exception) -> str:
    """An error's text where it names a member; never what was sent."""
    if isinstance(error, ValidationError):
        finding = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, finding['loc']))}: {finding['msg']}"
    return str(error) if isinstance(error, (InvalidEvent, NotPublished, KeyError)) else type(error).__name__
