"""Which updates the bot must ask Telegram for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NEEDED_UPDATES: Final = ("message", "callback_query", "my_chat_member", "purchased_paid_media", "subscription")
"""The kinds of updates that become events."""


def missing_updates(allowed: Iterable[str] | None) -> list[str]:
    """Return what `allowed_updates` leaves out of NEEDED_UPDATES, from the bot's own call or from getWebhookInfo.

    None and an empty list are Telegram's default, which leaves out nothing of them. A framework that derives the list
    from the bot's handlers leaves out everything that no handler asks for.
    """
    asked = {str(kind) for kind in allowed or ()}
    return [kind for kind in NEEDED_UPDATES if asked and kind not in asked]


def with_needed(allowed: Iterable[str]) -> list[str]:
    """Return `allowed` and what it leaves out, for `allowed_updates`."""
    return [str(kind) for kind in dict.fromkeys([*allowed, *NEEDED_UPDATES])]
