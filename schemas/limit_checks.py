"""What of an event is measured by the limits: each event class names its check.

A check takes the members of the event's data; one that was not sent is absent or None. It raises InvalidEvent, reason
`limit`, naming member and bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidEvent
from .limits import Limits
from .reasons import Reason


def _at_most(data: Mapping[str, Any], member: str, maximum: int) -> None:
    number = data.get(member)
    if number is not None and number > maximum:
        raise InvalidEvent(Reason.LIMIT, f"data.{member} is above {maximum}")


def credit_amount(data: Mapping[str, Any], limits: Limits) -> None:
    """Credits granted or spent."""
    if data["credits"] > limits.credits_max:  # a tenth of all events: a usual one without a further call
        _at_most(data, "credits", limits.credits_max)


def payment(data: Mapping[str, Any], limits: Limits) -> None:
    """An amount of money that somebody pays, or would have paid."""
    _at_most(data, "amount_cents", limits.payment_cents_max)


def charge(data: Mapping[str, Any], limits: Limits) -> None:
    """A charge: its amount, and the credits that it buys."""
    # Every charge passes here: a usual one without further calls.
    if data["amount_cents"] > limits.payment_cents_max or (data.get("credits") or 0) > limits.credits_max:
        payment(data, limits)
        credit_amount(data, limits)


def auto_recharge(data: Mapping[str, Any], limits: Limits) -> None:
    """One automatic recharge, or what it would be."""
    amount_cents = data.get("amount_cents")
    if amount_cents is not None and amount_cents < limits.auto_recharge_cents_min:
        raise InvalidEvent(Reason.LIMIT, f"data.amount_cents is below {limits.auto_recharge_cents_min}")
    _at_most(data, "amount_cents", limits.auto_recharge_cents_max)
    _at_most(data, "credits", limits.credits_max)


def auto_recharge_settings(data: Mapping[str, Any], limits: Limits) -> None:
    """Settings of automatic recharges."""
    auto_recharge(data, limits)
    _at_most(data, "threshold_credits", limits.credits_max)


def content_item(data: Mapping[str, Any], limits: Limits) -> None:
    """The price of a content item, in money and in credits."""
    _at_most(data, "price_cents", limits.content_price_cents_max)
    _at_most(data, "price_credits", limits.credits_max)


def unlock(data: Mapping[str, Any], limits: Limits) -> None:
    """What an unlock was worth, and the credits that it took."""
    _at_most(data, "price_cents", limits.content_price_cents_max)
    _at_most(data, "credits", limits.credits_max)
