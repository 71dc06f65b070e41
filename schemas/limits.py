"""Business limits: versioned data, each version with the broker time from which it holds.

Changing a limit means adding a version to limits.json; a record keeps the fate that the limits of its own
time gave it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from . import events
from .data_files import read_json
from .envelope import Envelope
from .errors import InvalidEvent
from .reasons import Reason


class Limits(NamedTuple):
    """One version; `from_ms` is broker time in milliseconds since 1970, money is in cents."""

    version: int
    from_ms: int
    content_price_cents_max: int
    auto_recharge_cents_min: int
    auto_recharge_cents_max: int
    credits_max: int
    payment_cents_max: int


def _read(entry: dict[str, Any]) -> Limits:
    start = datetime.fromisoformat(entry["from"])
    numbers = {name: entry[name] for name in Limits._fields if name != "from_ms"}
    return Limits(from_ms=round(start.timestamp() * 1000), **numbers)


ALL_LIMITS: Final[tuple[Limits, ...]] = tuple(
    sorted((_read(entry) for entry in read_json("limits.json")), key=lambda limits: limits.from_ms)
)
CURRENT_LIMITS: Final = ALL_LIMITS[-1]


def limits_at(timestamp: int, versions: tuple[Limits, ...] = ALL_LIMITS) -> Limits:
    """Return the limits in force at the broker time `timestamp` (milliseconds since 1970).

    Before the first version's start the first version holds.
    """
    index = bisect_right(versions, timestamp, key=lambda limits: limits.from_ms)
    return versions[max(index - 1, 0)]


def _at_most(member: str, number: int | None, maximum: int) -> None:
    if number is not None and number > maximum:
        raise InvalidEvent(Reason.LIMIT, f"data.{member} is above {maximum}")


def _credits(event: Any, limits: Limits) -> None:
    _at_most("credits", event.data.credits, limits.credits_max)


def _payment(event: Any, limits: Limits) -> None:
    _at_most("amount_cents", event.data.amount_cents, limits.payment_cents_max)


def _charge(event: Any, limits: Limits) -> None:
    data = event.data
    # Every charge passes here: a usual one without further calls.
    if data.amount_cents > limits.payment_cents_max or (data.credits or 0) > limits.credits_max:
        _payment(event, limits)
        _credits(event, limits)


def _auto_recharge(event: Any, limits: Limits) -> None:
    data = event.data
    if data.amount_cents is not None and data.amount_cents < limits.auto_recharge_cents_min:
        raise InvalidEvent(Reason.LIMIT, f"data.amount_cents is below {limits.auto_recharge_cents_min}")
    _at_most("amount_cents", data.amount_cents, limits.auto_recharge_cents_max)
    _at_most("credits", data.credits, limits.credits_max)


def _auto_recharge_settings(event: Any, limits: Limits) -> None:
    _auto_recharge(event, limits)
    _at_most("threshold_credits", event.data.threshold_credits, limits.credits_max)


def _content_item(event: Any, limits: Limits) -> None:
    _at_most("price_cents", event.data.price_cents, limits.content_price_cents_max)
    _at_most("price_credits", event.data.price_credits, limits.credits_max)


def _unlock(event: Any, limits: Limits) -> None:
    _at_most("price_cents", event.data.price_cents, limits.content_price_cents_max)
    _at_most("credits", event.data.credits, limits.credits_max)


CHECKS: Final[dict[type[Envelope], Callable[[Any, Limits], None]]] = {
    events.CreditsGranted: _credits,
    events.CreditsSpent: _credits,
    events.PaymentSucceeded: _charge,
    events.PaymentFailed: _payment,
    events.PaymentRefunded: _payment,
    events.PaymentDisputeOpened: _payment,
    events.AutoRechargeConfigured: _auto_recharge_settings,
    events.AutoRechargeTriggered: _auto_recharge,
    events.ContentPublished: _content_item,
    events.ContentChanged: _content_item,
    events.ContentUnlocked: _unlock,
    events.SubscriptionStarted: _payment,
    events.SubscriptionRenewed: _payment,
    events.SubscriptionCancelledV1: _payment,
    events.SubscriptionPaymentFailed: _payment,
}
"""The check of every event class that carries a limited number."""


def check_limits(event: Envelope, limits: Limits = CURRENT_LIMITS) -> None:
    """Refuse numbers beyond `limits`. Raises InvalidEvent, reason `limit`, naming member and bound."""
    check = CHECKS.get(type(event))
    if check is not None:
        check(event, limits)
