"""The part of the books about messages: when and in which form people write."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

# The contract's order: the first of equals is the preferred one.
_KINDS = ("text", "command", "callback", "photo", "voice", "video", "sticker", "document", "other")


class Mailbag:
    """Remembers when each user wrote, and how."""

    def __init__(self) -> None:
        self._received: dict[str, list[tuple[datetime, str]]] = defaultdict(list)

    def take(self, user: str, at: datetime, kind: str) -> None:
        """A message from a user."""
        self._received[user].append((at, kind))

    def patterns(self) -> dict[str, dict[str, int]]:
        """Messages by `weekday hour kind`."""
        counts = Counter(
            f"{at.isoweekday()} {at.hour} {kind}" for messages in self._received.values() for at, kind in messages
        )
        return {pattern: {"messages": count} for pattern, count in sorted(counts.items())}

    def preferences(self) -> dict[str, dict[str, Any]]:
        """What each user prefers."""
        return {user: _preferred(messages) for user, messages in sorted(self._received.items())}


def _preferred(messages: list[tuple[datetime, str]]) -> dict[str, Any]:
    kinds = [kind for _, kind in messages]
    hours = [at.hour for at, _ in messages]
    share = Decimal(kinds.count("command")) / len(messages)
    return {
        "preferred_kind": max(_KINDS, key=kinds.count),
        "preferred_hour": max(range(24), key=hours.count),
        "command_share": float(share.quantize(Decimal("0.0001"), ROUND_HALF_UP)),
        "messages": len(messages),
    }
