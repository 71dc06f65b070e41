"""What an update says, as facts: pure, from the Bot API's own JSON. Never the text of anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ..envelope import UserEvent
from ..events import ContentUnlocked, MessageReceived, MessageSent, UserBotBlocked, UserBotUnblocked
from . import payments
from .options import Options

Json = Mapping[str, Any]

_KINDS: Final = {
    "text": "text",
    "photo": "photo",
    "voice": "voice",
    "video": "video",
    "video_note": "video",
    "sticker": "sticker",
    "animation": "video",
    "document": "document",
    **dict.fromkeys(
        ("audio", "contact", "location", "venue", "poll", "dice", "game", "story", "paid_media", "web_app_data"),
        "other",
    ),
}
"""Members of a message that make it one; a message with none of them is Telegram's own notice. In this order: an
animation comes with a document."""


class Fact(NamedTuple):
    """An event in the making; without `time` it is the moment that the update was first seen at."""

    event_class: type[UserEvent]
    telegram_id: int
    data: dict[str, Any] | None
    time: datetime | None


def person_of(update: Json) -> Json | None:
    """Return the user who acted, where that is a person in a private chat or a payer anywhere; None else."""
    message = update.get("message")
    if message is not None:
        paid = "successful_payment" in message or "refunded_payment" in message
        return _person(message.get("from")) if paid or _is_private(message) else None
    for kind, member in (
        ("callback_query", "from"),
        ("my_chat_member", "from"),
        ("purchased_paid_media", "from"),
        ("subscription", "user"),
    ):
        if kind in update:
            part = update[kind]
            chat = part.get("message", {}) if kind == "callback_query" else part
            return _person(part.get(member)) if "chat" not in chat or _is_private(chat) else None
    return None


def date_of(update: Json) -> datetime | None:
    """Return the update's own time, where it has one."""
    return next((moment(update[kind]["date"]) for kind in ("message", "my_chat_member") if kind in update), None)


def start_payload(update: Json) -> str | None:
    """Return the payload of `/start payload`, as a deep link sends it."""
    words = str(update.get("message", {}).get("text", "")).split(maxsplit=1)
    return words[1] if len(words) == 2 and words[0].partition("@")[0] == "/start" else None


def facts_of(update: Json, options: Options) -> Iterator[Fact]:
    """Yield what the update says beyond who the user is. Raises NoRate for money in a currency without a rate."""
    person = person_of(update)
    if person is None:
        return
    user = person["id"]
    if "message" in update:
        message = update["message"]
        at = moment(message["date"])
        if "successful_payment" in message:
            for event_class, data in payments.paid(message["successful_payment"], options):
                yield Fact(event_class, user, data, at)
        elif "refunded_payment" in message:
            for event_class, data in payments.refunded(message["refunded_payment"], options):
                yield Fact(event_class, user, data, at)
        elif (read := message_data(message)) is not None:
            yield Fact(MessageReceived, user, read, at)
    elif "callback_query" in update:
        yield Fact(MessageReceived, user, {"kind": "callback"}, None)
    elif "my_chat_member" in update:
        change = update["my_chat_member"]
        before, after = (change[name]["status"] == "kicked" for name in ("old_chat_member", "new_chat_member"))
        if before != after:
            yield Fact(UserBotBlocked if after else UserBotUnblocked, user, None, moment(change["date"]))
    elif "purchased_paid_media" in update:
        payload = update["purchased_paid_media"]["paid_media_payload"]
        if payload:
            price = options.cents_of(payload)
            data = {"content_id": payload, "price_cents": price, "paid_with": "payment"}
            yield Fact(ContentUnlocked, user, data, None)
    elif "subscription" in update:
        for event_class, data in payments.subscription(update["subscription"]):
            yield Fact(event_class, user, data, None)


def sent_fact(message: Json) -> Fact | None:
    """Return the fact that the bot sent this message; None outside of private chats."""
    data = message_data(message)
    if data is None or not _is_private(message):
        return None
    data.pop("command", None)
    if data["kind"] == "command":
        data["kind"] = "text"
    return Fact(MessageSent, message["chat"]["id"], data, moment(message["date"]))


def message_data(message: Json) -> dict[str, Any] | None:
    """Return kind, length and a command's name; None for a notice of Telegram's own."""
    kind = next((kind for member, kind in _KINDS.items() if member in message), None)
    if kind is None:
        return None
    text = str(message.get("text", message.get("caption", "")))
    data: dict[str, Any] = {"kind": kind, "length": len(text)}
    for entity in message.get("entities", ()):
        if entity["type"] == "bot_command" and entity["offset"] == 0:
            # Names of commands are ASCII: Telegram's UTF-16 length is the number of characters.
            data |= {"kind": "command", "command": text[1 : entity["length"]].partition("@")[0]}
    return data


def moment(seconds: int) -> datetime:
    """Return the time of a Unix timestamp."""
    return datetime.fromtimestamp(seconds, UTC)


def _person(user: Json | None) -> Json | None:
    return user if user is not None and not user.get("is_bot") else None


def _is_private(holder: Json) -> bool:
    return bool(holder.get("chat", {}).get("type") == "private")
