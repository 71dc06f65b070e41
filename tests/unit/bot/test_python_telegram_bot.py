"""The python-telegram-bot adapter on a real Application and a real Bot, whose requests need no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from telegram import Update
from telegram.ext import Application, ApplicationBuilder, ApplicationHandlerStop, CommandHandler, TypeHandler
from telegram.request import BaseRequest, RequestData

from schemas.adapters.python_telegram_bot import ALLOWED_UPDATES, CountSent, setup
from schemas.telegram import Tracker, missing_updates
from tests.support.spooling import brief, spooled, spooling
from tests.support.updates import AT, CHAT, callback, command, paid, subscription, update

TOKEN = "42:TEST"


class Answering(BaseRequest):
    """Answers getMe and sendMessage as Telegram does."""

    @property
    def read_timeout(self) -> float | None:
        return 1.0

    async def initialize(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *arguments: Any, **options: Any
    ) -> tuple[int, bytes]:
        result: dict[str, Any] = {"id": 42, "is_bot": True, "first_name": "Bot", "username": "demo_bot"}
        if url.endswith("/sendMessage"):
            assert request_data is not None
            result = {"message_id": 8, "date": AT, "chat": CHAT, "text": request_data.parameters["text"]}
        return 200, json.dumps({"ok": True, "result": result}).encode()


async def feed(application: Application[Any, Any, Any, Any, Any, Any], *updates: dict[str, Any]) -> None:
    async with application:
        await application.start()
        for content in updates:
            await application.process_update(Update.de_json(content, application.bot))
        await application.stop()


async def test_every_update_and_what_the_bot_sends(tmp_path: Path) -> None:
    handled: list[str] = []

    async def start(update: Update, context: Any) -> None:
        handled.append("start")
        assert update.effective_chat is not None
        await context.bot.send_message(update.effective_chat.id, "Welcome")

    async with spooling(tmp_path / "spool.db") as publisher:
        tracker = Tracker(publisher)
        request = Answering()
        application = (
            ApplicationBuilder()
            .token(TOKEN)
            .request(request)
            .get_updates_request(request)
            .rate_limiter(CountSent(tracker))
            .build()
        )
        application.add_handler(CommandHandler("start", start))
        setup(application, tracker)
        await feed(
            application,
            update(1, message=command("/start")),
            update(2, message=paid()),
            update(3, callback_query=callback()),
            update(4, subscription=subscription("canceled")),  # the library does not know it yet
        )
        await tracker.drain()
        events = [brief(event) for event in await spooled(publisher)]
        assert tracker.counts.errors == 0
    assert handled == ["start"]
    assert sorted(fact for fact, *_ in events) == [
        "message.received",
        "message.received",
        "message.sent",
        "payment.succeeded",
        "subscription.cancelled",
        "user.registered",
    ]
    assert {subject for _, subject, _ in events} == {"123456789"}


async def test_a_handler_that_ends_the_update_ends_it_after_us(tmp_path: Path) -> None:
    async def last_word(update: Update, context: Any) -> None:
        raise ApplicationHandlerStop

    async with spooling(tmp_path / "spool.db") as publisher:
        tracker = Tracker(publisher)
        request = Answering()
        application = ApplicationBuilder().token(TOKEN).request(request).get_updates_request(request).build()
        application.add_handler(TypeHandler(Update, last_word), group=-1000)
        setup(application, tracker)
        await feed(application, update(1, message=command("/start")))
        await tracker.drain()
        assert [brief(event)[0] for event in await spooled(publisher)] == ["user.registered", "message.received"]


def test_the_updates_to_ask_telegram_for() -> None:
    assert missing_updates(ALLOWED_UPDATES) == []
    assert set(ALLOWED_UPDATES) > set(map(str, Update.ALL_TYPES))
