"""Who the bot's users are: registration, profile, blocking."""

from __future__ import annotations

from typing import Literal

from ..envelope import UserEvent, Value
from ..fields import Flag, TelegramId, Text, Username


class UserRegisteredData(Value):
    """What the bot knows of a new user; `language` is an IETF tag, `referral_code` the user's own."""

    username: Username | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    language: Text | None = None
    referral_code: Text | None = None
    referred_by: TelegramId | None = None
    is_premium: Flag | None = None


class UserRegistered(UserEvent):
    """A user started the bot for the first time."""

    type: Literal["botpulse.user.registered.v1"] = "botpulse.user.registered.v1"
    data: UserRegisteredData


class UserProfileChangedData(Value):
    """Only what changed: an absent member changes nothing, null clears."""

    username: Username | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    language: Text | None = None
    referral_code: Text | None = None
    is_premium: Flag | None = None


class UserProfileChanged(UserEvent):
    """Members of a user's profile have new values."""

    type: Literal["botpulse.user.profile_changed.v1"] = "botpulse.user.profile_changed.v1"
    data: UserProfileChangedData


class NoData(Value):
    """Nothing to say beyond the fact itself."""


class UserBotBlocked(UserEvent):
    """The user blocked the bot."""

    type: Literal["botpulse.user.bot_blocked.v1"] = "botpulse.user.bot_blocked.v1"
    data: NoData | None = None


class UserBotUnblocked(UserEvent):
    """The user unblocked the bot."""

    type: Literal["botpulse.user.bot_unblocked.v1"] = "botpulse.user.bot_unblocked.v1"
    data: NoData | None = None
