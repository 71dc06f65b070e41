"""What a user said of themselves: of each field the latest word counts, of referrers the earliest registration's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from projections.verify.rows import Key, Row, order_of
from schemas.plain import PlainEvent

_PROFILE: Final = {
    "username": "username",
    "first_name": "first_name",
    "last_name": "last_name",
    "language": "preferred_language",
    "referral_code": "referral_code",
    "is_premium": "is_premium",
}
_RECHARGE: Final = {
    "enabled": "auto_recharge_enabled",
    "amount_cents": "auto_recharge_amount_cents",
    "credits": "auto_recharge_credits",
    "threshold_credits": "auto_recharge_threshold_credits",
}
_SAID: Final = (*_PROFILE.values(), "is_blocked", *_RECHARGE.values())
_UNSAID: Final = {"is_blocked": False, "auto_recharge_enabled": False}
SPEAKING: Final = frozenset(
    {"user.registered", "user.profile_changed", "user.bot_blocked", "user.bot_unblocked", "auto_recharge.configured"}
)
"""What says something of a profile, even where no member of it is said."""
_NOBODY: Final = {
    **dict.fromkeys(_SAID),
    **_UNSAID,
}
_TIME_COLUMNS: Final = {column: f"{column}_at" for column in _SAID}
_NEVER: Final = dict.fromkeys(_TIME_COLUMNS.values())


class Profile:
    """One user's profile."""

    def __init__(self, telegram_id: int) -> None:
        self.telegram_id = telegram_id
        self.registered_at: datetime | None = None
        """The earliest registration."""
        self.referrers: set[int] = set()
        """Everybody that a registration named: they have a row, whoever is the referrer in the end."""
        self._said: dict[str, tuple[datetime, Any]] = {}
        self._spoke = False
        self._referrals: list[PlainEvent] = []

    def apply(self, kind: str, event: PlainEvent) -> None:
        """Take in one of the events of SPEAKING."""
        self._spoke = True
        if kind == "auto_recharge.configured":
            self._say(event, _RECHARGE)
        elif kind in ("user.bot_blocked", "user.bot_unblocked"):
            self._set("is_blocked", event["time"], kind == "user.bot_blocked")
        else:
            self._say(event, _PROFILE)
        if kind == "user.registered":
            self._register(event)

    def columns(self) -> Row:
        """Return what users has of it."""
        return {
            **_NOBODY,
            **{column: value for column, (_, value) in self._said.items()},
            "referred_by": self._referral()["data"]["referred_by"] if self._referrals else None,
            "registered_at": self.registered_at,
        }

    def field_times(self) -> dict[Key, Row]:
        """Return the row of user_field_times, if there is one."""
        if not self._spoke:
            return {}
        referral = self._referral() if self._referrals else None
        return {
            (self.telegram_id,): {
                **_NEVER,
                **{_TIME_COLUMNS[column]: time for column, (time, _) in self._said.items()},
                "referred_at": referral and referral["time"],
                "referred_source": referral and referral["source"],
                "referred_event_id": referral and referral["id"],
            }
        }

    def _referral(self) -> PlainEvent:
        return min(self._referrals, key=order_of)

    def _register(self, event: PlainEvent) -> None:
        time, referrer = event["time"], event["data"].get("referred_by")
        if self.registered_at is None or time < self.registered_at:
            self.registered_at = time
        if referrer not in (None, self.telegram_id):
            self._referrals.append(event)
            self.referrers.add(referrer)

    def _say(self, event: PlainEvent, columns: dict[str, str]) -> None:
        for member, value in event["data"].items():
            if member in columns:
                self._set(columns[member], event["time"], value)

    def _set(self, column: str, time: datetime, value: Any) -> None:
        if column not in self._said or time >= self._said[column][0]:
            self._said[column] = (time, value)
