"""A Bot API server of the tests' own: gives out updates by long polling, and keeps what a bot sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.support.updates import AT, CHAT

LONGEST_POLL_SECONDS = 1.0


class TelegramApi:
    """Its address, the calls it got, and the updates it still has to give."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._updates: list[dict[str, Any]] = []
        self._numbers = 0
        self._more = asyncio.Event()

    def give(self, **kind: Any) -> None:
        """Another update for the bot."""
        self._numbers += 1
        self._updates.append({"update_id": self._numbers, **kind})
        self._more.set()

    def sent(self) -> list[str]:
        """The texts that the bot has sent."""
        return [parameters["text"] for method, parameters in self.calls if method == "sendMessage"]

    def asked_for(self) -> list[str]:
        """What the bot's last getUpdates allowed."""
        polls = [parameters for method, parameters in self.calls if method == "getUpdates"]
        allowed: list[str] = json.loads(polls[-1]["allowed_updates"])
        return allowed

    async def answer(self, request: web.Request) -> web.Response:
        parameters: dict[str, Any] = dict(await request.post())
        method = request.match_info["method"]
        self.calls.append((method, parameters))
        result: Any = True
        if method == "getMe":
            result = {"id": 42, "is_bot": True, "first_name": "Bot", "username": "vip_bot"}
        elif method == "getUpdates":
            result = await self._poll(int(parameters.get("offset", 0)))
        elif method.startswith("send"):
            chat = {**CHAT, "id": int(parameters["chat_id"])}
            text = parameters.get("text", "invoice")
            result = {"message_id": 1000 + len(self.calls), "date": AT, "chat": chat, "text": text}
        return web.json_response({"ok": True, "result": result})

    async def _poll(self, offset: int) -> list[dict[str, Any]]:
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        if not self._updates:
            self._more.clear()
            try:
                await asyncio.wait_for(self._more.wait(), LONGEST_POLL_SECONDS)
            except TimeoutError:
                return []
        return self._updates


@asynccontextmanager
async def telegram_api() -> AsyncIterator[TelegramApi]:
    """A server on a free port of this machine."""
    api = TelegramApi()
    application = web.Application()
    application.router.add_post("/bot{token}/{method}", api.answer)
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        api.url = f"http://{host}:{port}"
        yield api
    finally:
        await runner.cleanup()
