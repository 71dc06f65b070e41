"""What admins did, for the audit log."""

from __future__ import annotations

from typing import Literal

from ..envelope import UserEvent, Value
from ..fields import Details, TelegramId, Text


class AdminActionTakenData(Value):
    """`action` names what was done; `details` is flat: strings, finite numbers, booleans."""

    action: Text
    target_telegram_id: TelegramId | None = None
    reason: Text | None = None
    details: Details | None = None


class AdminActionTaken(UserEvent):
    """An admin (the subject) did something to the bot or to a user."""

    type: Literal["botpulse.admin.action_taken.v1"] = "botpulse.admin.action_taken.v1"
    data: AdminActionTakenData
