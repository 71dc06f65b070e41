"""Whole bots, as the documentation shows them, on a real Kafka, against a Bot API server of our own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local import LocalStack, StackInfo
from schemas.publisher import Publisher, Settings
from schemas.stripe_webhook import StripeWebhook, stripe_app
from schemas.telegram import missing_updates
from schemas.tier_changes import TierChanges
from schemas.topics import Topics
from tests.support import log
from tests.support.installation import Installation
from tests.support.polling import until
from tests.support.services import eventually
from tests.support.stripe_events import SECRET, event, intent, signed
from tests.support.telegram_api import TelegramApi, telegram_api
from tests.support.updates import command, message, paid

ROOT = Path(__file__).parents[2]
VIP_STARS = 4000
"""52 dollars at the default rate."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built botpulse_events in it, as pip would install it."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, folder, ROOT / "schemas"], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


@contextmanager
def bot(
    installation: Installation, installed: Path, api: TelegramApi, *command: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A bot's process, which must end by itself when it is told to."""
    environment = {
        **os.environ,
        **installation.environment,
        "PYTHONPATH": str(installed),
        "BOT_TOKEN": "42:TEST",
        "TELEGRAM_API": api.url,
        "BOTPULSE_SPOOL": str(installation.folder / "spool.db"),
    }
    output = (installation.folder / "bot.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, *command], env=environment, cwd=installation.folder, stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        output.close()


async def facts(installation: Installation) -> list[tuple[str, str]]:
    records = await log.read_all(installation.stack.bootstrap_servers, installation.topics.events.name)
    events = [json.loads(record.value) for record in records]
    return [(e["type"].removeprefix("botpulse.").rpartition(".")[0], e["subject"]) for e in events]


async def test_the_example_bot_publishes_its_events_and_congratulates_a_vip(
    installation: Installation, installed: Path
) -> None:
    async with telegram_api() as api:
        with (
            ExitStack() as running,
            bot(installation, installed, api, str(ROOT / "examples" / "vip_bot.py")) as process,
        ):
            installation.start("streams", running)
            api.give(message=command("/start ref_77"))
            api.give(message=command("/buy"))
            api.give(pre_checkout_query={"id": "1", "from": message()["from"], "currency": "XTR", "total_amount": 500,
                                         "invoice_payload": "credits-100"})  # fmt: skip
            api.give(message=paid(total_amount=VIP_STARS))
            output = installation.folder / "bot.log"
            await eventually(
                lambda: any("VIP" in text for text in api.sent()) or process.poll() is not None,
                "the bot congratulates",
            )
            assert process.poll() is None, output.read_text()
            process.send_signal(signal.SIGINT)
            await eventually(lambda: process.poll() is not None, "the bot ends")
        assert missing_updates(api.asked_for()) == []
        assert api.sent()[-1] == "You are VIP now: 10 % off from here on!"
    found = await facts(installation)
    assert {subject for _, subject in found} == {"123456789"}
    assert sorted(fact for fact, _ in found) == sorted(
        ["user.registered", "message.received", "message.received", "payment.succeeded", "credits.granted"]
        + ["message.sent"] * len([method for method, _ in api.calls if method.startswith("send")])
    )
    records = await log.read_all(installation.stack.bootstrap_servers, installation.topics.events.name)
    registered = next(json.loads(r.value) for r in records if b"user.registered" in r.value)
    assert registered["data"]["referred_by"] == 77
    payment = next(json.loads(r.value) for r in records if b"payment.succeeded" in r.value)
    assert (payment["data"]["amount_cents"], payment["data"]["credits"]) == (5200, 100)


async def test_the_bot_of_the_readme_works(installation: Installation, installed: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    local = "bot.session = AiohttpSession(api=TelegramAPIServer.from_base(os.environ['TELEGRAM_API']))"
    code = code.replace("\nasyncio.run(main())", f"\n{local}\nasyncio.run(main())")
    imports = (
        "from aiogram.client.session.aiohttp import AiohttpSession\n"
        "from aiogram.client.telegram import TelegramAPIServer\n"
    )
    assert local in code
    async with telegram_api() as api:
        with bot(installation, installed, api, "-c", imports + code) as process:
            api.give(message=command("/start"))

            async def arrived() -> bool:
                return len(await facts(installation)) >= 3 or process.poll() is not None

            await eventually(arrived, "the events arrive")
            assert process.poll() is None, (installation.folder / "bot.log").read_text()
    assert [fact for fact, _ in await facts(installation)] == ["user.registered", "message.received", "message.sent"]


async def test_a_tier_change_that_was_not_done_comes_again(installation: Installation) -> None:
    servers, topic = installation.stack.bootstrap_servers, installation.topics.tier_changes.name
    options = {"group": f"{installation.topics.prefix}bot", "topic": topic, "session_timeout_ms": 6000}
    with ExitStack() as running:
        # A group begins at its first start, not at its first change.
        async with TierChanges(servers, **options) as changes:
            waiting = asyncio.create_task(anext(changes))
            group = options["group"]

            async def begun() -> bool:
                return len(await log.committed(servers, group)) == len(await log.ends(servers, topic))

            await until(begun, "the group has begun")
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        installation.start("streams", running)
        lines = []
        for number, cents in enumerate((1000, 4000, 5000)):
            data = {"charge_id": f"c{number}", "provider": "stripe", "method": "card", "amount_cents": cents}
            envelope = {"specversion": "1.0", "id": f"p{number}", "source": "/bots/test", "subject": "5"}
            kind = {"type": "botpulse.payment.succeeded.v1", "time": "2026-01-02T03:04:05Z"}
            lines.append({**envelope, **kind, "data": data})
        await installation.botpulse("publish", "-", standard_input="\n".join(map(json.dumps, lines)))
        async with TierChanges(servers, **options) as changes:
            first = await anext(changes)
            second = await anext(changes)
            assert (first.data.current, second.data.current) == ("regular", "vip")
        # `second` was handed out, but its successor was not asked for.
        async with TierChanges(servers, **options) as changes:
            again = await anext(changes)
            third = await anext(changes)
    assert again.id == second.id
    assert (third.data.current, third.telegram_id) == ("premium", 5)


async def test_stripe_is_answered_with_200_when_kafka_has_the_event(
    local_stack: LocalStack, stack: StackInfo, topics: Topics, tmp_path: Path
) -> None:
    settings = Settings(acknowledge_seconds=2.0, retry_seconds=0.1)
    options = {"source": "/bots/test", "topic": topics.events.name, "settings": settings}
    payload, signature = signed(event("payment_intent.succeeded", intent()))
    async with Publisher(stack.bootstrap_servers, spool=tmp_path / "spool.db", **options) as publisher:
        transport = httpx.ASGITransport(stripe_app(StripeWebhook(publisher, SECRET)))
        async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:

            async def post() -> int:
                sent = await client.post("/", content=payload, headers={"Stripe-Signature": signature})
                return sent.status_code

            found = local_stack.find()
            assert found is not None
            os.kill(found.kafka_pid, signal.SIGSTOP)
            try:
                assert await post() == 503
            finally:
                os.kill(found.kafka_pid, signal.SIGCONT)
            await until(lambda: publisher.status.connected, "Kafka is back")
            assert await post() == 200
            records = await log.read_all(stack.bootstrap_servers, topics.events.name)
    assert {json.loads(record.value)["data"]["charge_id"] for record in records} == {"pi_1"}
