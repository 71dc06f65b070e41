"""What a bot's owner decides about its events."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from ..events.payments import Method, Purpose
from ..rates import Rates

T = TypeVar("T")

_log = logging.getLogger("botpulse.telegram")

PROFILE_FIELDS: Final = ("username", "first_name", "last_name", "language", "is_premium")
_REF = re.compile(r"ref_([1-9][0-9]{0,15})", re.ASCII)


def ref_payload(payload: str) -> int | None:
    """Return N of a deep link's payload `ref_N`: the telegram_id of whoever shared the link."""
    found = _REF.fullmatch(payload)
    return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class PaymentDetails:
    """What a payment is for; only the bot knows it, by the payload that it put into the invoice."""

    purpose: Purpose | None = None
    credits: int | None = None
    content_id: str | None = None
    auto_recharge: bool | None = None


def _nothing(payload: str) -> PaymentDetails:
    return PaymentDetails()


def _free(payload: str) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Options:
    """The functions are called with what the bot itself put into links and invoices; an error of theirs is logged, and
    costs only what they would have said.
    """

    rates: Rates = field(default_factory=Rates)
    profile: tuple[Literal["username", "first_name", "last_name", "language", "is_premium"], ...] = PROFILE_FIELDS
    """What of a user's profile is published; () for nothing."""
    referrer: Callable[[str], int | None] | None = None
    """From the payload of a first `/start payload` to the referrer's telegram_id: `ref_payload`, or the bot's own."""
    payment_details: Callable[[str], PaymentDetails] = _nothing
    """From an invoice's payload to what was bought."""
    telegram_payments_method: Method = "card"
    """Telegram does not say how a payment other than by Stars was made."""
    paid_media_cents: Callable[[str], int] = _free
    """From the payload of paid media to its price in cents; the update has none."""

    def referrer_of(self, payload: str) -> int | None:
        """Ask `referrer`."""
        return None if self.referrer is None else _answer("referrer", self.referrer, payload, None)

    def details_of(self, payload: str) -> PaymentDetails:
        """Ask `payment_details`."""
        return _answer("payment_details", self.payment_details, payload, PaymentDetails())

    def cents_of(self, payload: str) -> int:
        """Ask `paid_media_cents`."""
        return _answer("paid_media_cents", self.paid_media_cents, payload, 0)


def _answer(name: str, function: Callable[[str], T], payload: str, otherwise: T) -> T:
    try:
        return function(payload)
    except Exception as error:  # noqa: BLE001
        _log.error("the option %s failed: %s", name, type(error).__name__)  # its text may quote the payload
        return otherwise
