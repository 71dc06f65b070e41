"""Message credits: granted and spent. A user's balance is the one less the other."""

from __future__ import annotations

from typing import Literal

from .. import limit_checks
from ..envelope import UserEvent, Value
from ..fields import Id, Positive


class CreditsGrantedData(Value):
    """`charge_id` is a reference only; money is counted from payments."""

    credits: Positive
    reason: Literal["purchase", "bonus", "refund", "admin", "other"]
    charge_id: Id | None = None


class CreditsGranted(UserEvent):
    """The user got credits."""

    limit_check = limit_checks.credit_amount
    type: Literal["botpulse.credits.granted.v1"] = "botpulse.credits.granted.v1"
    data: CreditsGrantedData


class CreditsSpentData(Value):
    """`content_id` where the credits paid for a content item."""

    credits: Positive
    reason: Literal["message", "content", "other"]
    content_id: Id | None = None


class CreditsSpent(UserEvent):
    """The user spent credits."""

    limit_check = limit_checks.credit_amount
    type: Literal["botpulse.credits.spent.v1"] = "botpulse.credits.spent.v1"
    data: CreditsSpentData
