"""aiogram 3: an outer middleware for updates, and one of the session for what the bot sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware, Bot, Dispatcher
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import Message, TelegramObject, Update

from ..telegram import Tracker, with_needed

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


def setup(dispatcher: Dispatcher, tracker: Tracker, bot: Bot | None = None) -> None:
    """Publish the events of every update, and of what `bot` sends; the dispatcher's shutdown waits for the last."""
    dispatcher.update.outer_middleware(Updates(tracker))
    dispatcher.shutdown.register(tracker.drain)
    if bot is not None:
        bot.session.middleware(Sent(tracker))


def allowed_updates(dispatcher: Dispatcher) -> list[str]:
    """Return `allowed_updates` for polling or the webhook: what the bot's handlers ask for and what the events need."""
    return with_needed(dispatcher.resolve_used_update_types())


class Updates(BaseMiddleware):
    """Tracks while the handler runs, which starts at once; the update is done when its events are accepted too.

    So a webhook that is answered after its update was handled is given again when the bot is killed before that.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        tracked = self._tracker.take(lambda: as_json(event)) if isinstance(event, Update) else None
        try:
            return await handler(event, data)
        finally:
            if tracked is not None:
                await asyncio.shield(tracked)


class Sent(BaseRequestMiddleware):
    """Tracks the messages that the bot sends."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        answer = await make_request(bot, method)
        # Sending is what makes messages; edits return them too.
        if method.__api_method__.startswith("send"):
            result: Any = getattr(answer, "result", answer)
            for message in result if isinstance(result, list) else [result]:
                if isinstance(message, Message):
                    self._tracker.sent(lambda message=message: as_json(message))  # type: ignore[misc]
        return answer


def as_json(sent: TelegramObject) -> dict[str, Any]:
    """Return an object as the Bot API sent it."""
    # Members that were not sent may hold a marker of aiogram's that is no JSON.
    return sent.model_dump(mode="json", by_alias=True, exclude_unset=True)
