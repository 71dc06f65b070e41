"""What of an event is measured by the limits: each event class names its check.

Every check raises InvalidEvent, reason `limit`, naming member and bound.
"""

from __future__ import annotations

from typing import Any

from .errors import InvalidEvent
from .limits import Limits
from .reasons import Reason


def _at_most(member: str, number: int | None, maximum: int) -> None:
    if number is not None and number > maximum:
        raise InvalidEvent(Reason.LIMIT, f"data.{member} is above {maximum}")


def credit_amount(event: Any, limits: Limits) -> None:
    """Credits granted or spent."""
    _at_most("credits", event.data.credits, limits.credits_max)


def payment(event: Any, limits: Limits) -> None:
    """An amount of money that somebody pays, or would have paid."""
    _at_most("amount_cents", event.data.amount_cents, limits.payment_cents_max)


def charge(event: Any, limits: Limits) -> None:
    """A charge: its amount, and the credits that it buys."""
    data = event.data
    # Every charge passes here: a usual one without further calls.
    if data.amount_cents > limits.payment_cents_max or (data.credits or 0) > limits.credits_max:
        payment(event, limits)
        credit_amount(event, limits)


def auto_recharge(event: Any, limits: Limits) -> None:
    """One automatic recharge, or what it would be."""
    data = event.data
    if data.amount_cents is not None and data.amount_cents < limits.auto_recharge_cents_min:
        raise InvalidEvent(Reason.LIMIT, f"data.amount_cents is below {limits.auto_recharge_cents_min}")
    _at_most("amount_cents", data.amount_cents, limits.auto_recharge_cents_max)
    _at_most("credits", data.credits, limits.credits_max)


def auto_recharge_settings(event: Any, limits: Limits) -> None:
    """Settings of automatic recharges."""
    auto_recharge(event, limits)
    _at_most("threshold_credits", event.data.threshold_credits, limits.credits_max)


def content_item(event: Any, limits: Limits) -> None:
    """The price of a content item, in money and in credits."""
    _at_most("price_cents", event.data.price_cents, limits.content_price_cents_max)
    _at_most("price_credits", event.data.price_credits, limits.credits_max)


def unlock(event: Any, limits: Limits) -> None:
    """What an unlock was worth, and the credits that it took."""
    _at_most("price_cents", event.data.price_cents, limits.content_price_cents_max)
    _at_most("credits", event.data.credits, limits.credits_max)
