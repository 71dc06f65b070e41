"""The aiogram adapter on a real Dispatcher and a real Bot, whose session answers without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, F
from aiogram.client.session.base import BaseSession
from aiogram.filters import CommandStart
from aiogram.methods import SendMessage, TelegramMethod
from aiogram.types import Message, Update

from schemas.adapters.aiogram import allowed_updates, setup
from schemas.telegram import Tracker, missing_updates
from tests.support.spooling import brief, spooled, spooling
from tests.support.updates import AT, CHAT, command, membership, message, paid, subscription, update

TOKEN = "42:TEST"


class Answering(BaseSession):
    """Answers sendMessage as Telegram does."""

    async def close(self) -> None:
        pass

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        assert isinstance(method, SendMessage)
        sent = {"message_id": 8, "date": AT, "chat": CHAT, "text": method.text}
        return Message.model_validate(sent, context={"bot": bot})

    def stream_content(self, *arguments: Any, **options: Any) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError


async def test_every_update_and_what_the_bot_sends(tmp_path: Path) -> None:
    dispatcher, bot = Dispatcher(), Bot(TOKEN, session=Answering())
    handled: list[str] = []

    @dispatcher.message(CommandStart())
    async def start(message: Message) -> None:
        handled.append("start")
        await message.answer("Welcome")

    @dispatcher.message(F.successful_payment)
    async def paid_for(message: Message) -> None:
        handled.append("paid")

    async with spooling(tmp_path / "spool.db") as publisher:
        tracker = Tracker(publisher)
        setup(dispatcher, tracker, bot)
        for number, kind in enumerate(
            (
                {"message": command("/start")},
                {"message": paid()},
                {"my_chat_member": membership("member", "kicked")},  # no handler asks for these two
                {"subscription": subscription("canceled")},
            )
        ):
            await dispatcher.feed_update(bot, Update.model_validate(update(number, **kind), context={"bot": bot}))
        await dispatcher.emit_shutdown(bot=bot)
        events = [brief(event) for event in await spooled(publisher)]
        assert tracker.counts.errors == 0
    assert handled == ["start", "paid"]
    assert [fact for fact, *_ in events] == [
        "user.registered",
        "message.received",
        "message.sent",
        "payment.succeeded",
        "user.bot_blocked",
        "subscription.cancelled",
    ]
    assert {subject for _, subject, _ in events} == {"123456789"}
    assert events[2][2] == {"kind": "text", "length": 7}


async def test_a_handler_starts_at_once_and_its_errors_are_its_own(tmp_path: Path) -> None:
    dispatcher, bot = Dispatcher(), Bot(TOKEN, session=Answering())
    begun = asyncio.Event()

    @dispatcher.message()
    async def broken(message: Message) -> None:
        begun.set()
        raise RuntimeError("the bot's own")

    async with spooling(tmp_path / "spool.db") as publisher:
        setup(dispatcher, Tracker(publisher))
        assert publisher.store is not None
        # The disk is slow: publishing waits, the handler doesn't.
        hold = asyncio.Event()
        loop = asyncio.get_running_loop()
        slow = asyncio.create_task(
            publisher.store.run(lambda connection: asyncio.run_coroutine_threadsafe(hold.wait(), loop).result())
        )
        content = Update.model_validate(update(message=message(text="hi")), context={"bot": bot})
        fed = asyncio.create_task(dispatcher.feed_update(bot, content))
        await begun.wait()
        finished = fed.done()
        hold.set()
        assert not finished
        with pytest.raises(RuntimeError, match="the bot's own"):
            await fed
        await slow
        assert len(await spooled(publisher)) == 2


def test_the_updates_to_ask_telegram_for() -> None:
    dispatcher = Dispatcher()
    dispatcher.message.register(test_the_updates_to_ask_telegram_for)
    assert missing_updates(dispatcher.resolve_used_update_types()) != []
    assert missing_updates(allowed_updates(dispatcher)) == []
