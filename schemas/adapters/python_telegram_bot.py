"""python-telegram-bot 22: a handler for updates, and a rate limiter that sees what the bot sends."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from telegram import Update
from telegram.ext import Application, BaseRateLimiter, CallbackContext, TypeHandler

from ..telegram import Tracker, with_needed

Result = bool | dict[str, Any] | list[dict[str, Any]]

ALLOWED_UPDATES: Final = with_needed(Update.ALL_TYPES)
"""For `run_polling` and `set_webhook`: all that the library knows, and what the events need beyond it."""
FIRST_GROUP: Final = -(2**31)
"""Before every handler of the bot, so that none of them ends the update first."""


def setup(application: Application[Any, Any, Any, Any, Any, Any], tracker: Tracker) -> None:
    """Publish the events of every update.

    The handlers of the bot are not waited for and do not wait; `Application.stop` waits for the last events.
    """

    async def track(update: Update, context: CallbackContext[Any, Any, Any, Any]) -> None:
        await tracker.take(update.to_dict)

    application.add_handler(TypeHandler(Update, track, block=False), group=FIRST_GROUP)


class CountSent(BaseRateLimiter[Any]):
    """Tracks the messages that the bot sends: `Application.builder().rate_limiter(CountSent(tracker))`.

    `inner` is the bot's own rate limiter where it has one.
    """

    def __init__(self, tracker: Tracker, inner: BaseRateLimiter[Any] | None = None) -> None:
        self._tracker = tracker
        self._inner = inner

    async def initialize(self) -> None:
        """As the library calls it."""
        if self._inner is not None:
            await self._inner.initialize()

    async def shutdown(self) -> None:
        """As the library calls it."""
        if self._inner is not None:
            await self._inner.shutdown()

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Result]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: Any,
    ) -> Result:
        """Make the request, then take what was sent."""
        if self._inner is None:
            result = await callback(*args, **kwargs)
        else:
            result = await self._inner.process_request(callback, args, kwargs, endpoint, data, rate_limit_args)
        if endpoint.startswith("send"):
            for message in result if isinstance(result, list) else [result]:
                if isinstance(message, dict) and "message_id" in message:
                    self._tracker.sent(message)
        return result
