"""What counts as activity of a user, and the thresholds on it: the only place that has them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from .envelope import Envelope
from .events import ContentUnlocked, ContentViewed, CreditsSpent, MessageReceived, PaymentSucceeded

SESSION_GAP: Final = timedelta(minutes=30)
"""Own actions this far apart, or nearer, are of one session."""
ACTIVE_DAYS: Final = 7
"""Active: the last own action (else the registration) is at most this many days ago."""
INACTIVE_DAYS: Final = 30
"""Inactive: not active, and at most this many days ago. Longer, or never: churned."""

OWN_ACTIONS: Final[frozenset[type[Envelope]]] = frozenset(
    {MessageReceived, CreditsSpent, PaymentSucceeded, ContentViewed, ContentUnlocked}
)
"""The events in which the user acts."""

ActivityStatus = Literal["active", "inactive", "churned"]


def activity_status(last_active: datetime | None, registered_at: datetime | None, now: datetime) -> ActivityStatus:
    """Return the user's status at `now`; all times aware."""
    last_sign = last_active or registered_at
    if last_sign is None:
        return "churned"
    if now - last_sign <= timedelta(days=ACTIVE_DAYS):
        return "active"
    return "inactive" if now - last_sign <= timedelta(days=INACTIVE_DAYS) else "churned"
