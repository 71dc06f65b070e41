"""Automatic top-ups of credits."""

from __future__ import annotations

from typing import Literal

from .. import limit_checks
from ..envelope import UserEvent, Value
from ..fields import Count, Flag, Id


class AutoRechargeConfiguredData(Value):
    """The settings from now on; below `threshold_credits` a top-up of `amount_cents` is made."""

    enabled: Flag
    amount_cents: Count | None = None
    credits: Count | None = None
    threshold_credits: Count | None = None


class AutoRechargeConfigured(UserEvent):
    """The user set up, changed or ended the auto-recharge."""

    limit_check = limit_checks.auto_recharge_settings
    type: Literal["botpulse.auto_recharge.configured.v1"] = "botpulse.auto_recharge.configured.v1"
    data: AutoRechargeConfiguredData


class AutoRechargeTriggeredData(Value):
    """One top-up that was started; the payment itself is an event of its own."""

    trigger_id: Id
    amount_cents: Count
    credits: Count | None = None


class AutoRechargeTriggered(UserEvent):
    """The balance fell below the threshold and a top-up was started."""

    limit_check = limit_checks.auto_recharge
    type: Literal["botpulse.auto_recharge.triggered.v1"] = "botpulse.auto_recharge.triggered.v1"
    data: AutoRechargeTriggeredData
