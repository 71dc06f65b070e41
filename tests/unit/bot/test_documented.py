"""The programs that docs/bot.md and schemas/README.md show, as they stand there, without a Kafka that answers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from telegram.ext import ApplicationBuilder, Updater

from tests.unit.bot.test_python_telegram_bot import Answering

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the programs find; the spool is in their working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("BOT_TOKEN", "42:TEST")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_test")
    monkeypatch.delenv("BOTPULSE_SPOOL", raising=False)


def program(page: str, about: str) -> str:
    """The page's program that has `about` in it, on the package as it is called in this checkout."""
    blocks = re.findall(r"```(?:python)?\n(import .*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if about in block)
    return str(code).replace("botpulse_events", "schemas")


def test_the_publishers_program(capsys: pytest.CaptureFixture[str]) -> None:
    exec(program("schemas/README.md", "CreditsSpent"), {})  # noqa: S102
    assert capsys.readouterr().out == "spool\n"
    assert Path("botpulse-spool.db").exists()


async def test_the_webhooks_program() -> None:
    names: dict[str, Any] = {}
    exec(program("docs/bot.md", "StripeWebhook"), names)  # noqa: S102
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        answer.append(message)

    app = names["app"]
    asked = {"type": "http", "method": "POST", "path": "/stripe/", "root_path": "", "query_string": b"", "headers": []}
    async with app.router.lifespan_context(app):
        await app(asked, receive, send)
    assert [answer[0]["status"], answer[1]["body"]] == [400, b"not signed by Stripe"]


async def test_the_program_of_python_telegram_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    started = asyncio.Event()

    async def start_polling(updater: Updater, allowed_updates: list[str]) -> None:
        asked.append(allowed_updates)
        started.set()

    async def stop(updater: Updater) -> None:
        asked.append([])

    class Offline(ApplicationBuilder[Any, Any, Any, Any, Any, Any]):
        """Its requests go nowhere."""

        def __init__(self) -> None:
            super().__init__()
            self.request(Answering()).get_updates_request(Answering())

    monkeypatch.setattr(Updater, "start_polling", start_polling)
    monkeypatch.setattr(Updater, "stop", stop)
    monkeypatch.setattr("telegram.ext.ApplicationBuilder", Offline)
    names: dict[str, Any] = {}
    code = program("docs/bot.md", "ApplicationBuilder")
    assert "\nasyncio.run(main())\n" in code
    exec(code.replace("\nasyncio.run(main())\n", ""), names)  # noqa: S102
    running = asyncio.create_task(names["main"]())
    done, _ = await asyncio.wait({running, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    assert running not in done
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "purchased_paid_media" in asked[0]
    assert asked[1:] == [[]]
