"""Messages between a user and the bot: their kind and length, never their text."""

from __future__ import annotations

from typing import Literal

from ..envelope import UserEvent, Value
from ..fields import Count, Text

MessageKind = Literal["text", "command", "callback", "photo", "voice", "video", "sticker", "document", "other"]


class MessageData(Value):
    """`length` counts characters; `command` is the command's name without arguments."""

    kind: MessageKind
    length: Count | None = None
    command: Text | None = None


class MessageReceived(UserEvent):
    """The bot received a message from the user."""

    type: Literal["botpulse.message.received.v1"] = "botpulse.message.received.v1"
    data: MessageData


class MessageSent(UserEvent):
    """The bot sent a message to the user."""

    type: Literal["botpulse.message.sent.v1"] = "botpulse.message.sent.v1"
    data: MessageData
