"""A trace from the bot through both services, and what the services write into their logs on the way."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from aiokafka import AIOKafkaProducer
from opentelemetry.sdk.trace import TracerProvider

from schemas.events import MessageReceived, PaymentSucceeded
from schemas.partitioner import partition_of
from schemas.publisher import Publisher
from tests.support.collector import collector
from tests.support.installation import Installation

USER = 7_000_123
PAYMENT = {"charge_id": "c1", "provider": "stripe", "method": "card", "amount_cents": 10_000}
HEADER = f"00-{'a' * 32}-{'b' * 16}-01"


async def test_one_trace_from_the_bot_to_the_tables(installation: Installation, tmp_path: Path) -> None:
    topics, servers = installation.topics, installation.stack.bootstrap_servers
    tracer = TracerProvider().get_tracer("the bot")
    key = str(USER).encode()
    with collector() as collected, ExitStack() as running:
        installation.environment |= collected.environment
        workers = [installation.start(module, running) for module in ("streams", "projections")]
        async with Publisher(servers, source="/bots/t", topic=topics.events.name, spool=tmp_path / "spool") as bot:
            await bot.publish(bot.new(MessageReceived, USER, {"kind": "text"}, id="untraced"))
            with tracer.start_as_current_span("a payment") as span:
                await bot.publish(bot.new(PaymentSucceeded, USER, PAYMENT, id="paid"))
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            headers = [("traceparent", HEADER.encode())]
            await producer.send_and_wait(topics.events.name, b"no event of Ann's", key=key, headers=headers)
        await installation.botpulse("wait", "--timeout=60")
        assert [worker.terminate() for worker in workers] == [0, 0]

    trace, bot_span = f"{span.get_span_context().trace_id:032x}", f"{span.get_span_context().span_id:016x}"
    ours = [made for made in collected.spans if made.trace == trace]
    (folded,) = [made for made in ours if made.service == "botpulse-streams"]
    assert (folded.name, folded.parent) == ("streams fold", bot_span)
    assert folded.attributes == {
        "messaging.system": "kafka",
        "messaging.destination.name": topics.events.name,
        "messaging.destination.partition.id": str(partition_of(key, 4)),
        "messaging.kafka.offset": 1,
        "messaging.message.id": "paid",
    }
    applied = {made.attributes["messaging.destination.name"]: made for made in ours if made is not folded}
    assert set(applied) == {topics.events.name, topics.tier_changes.name}
    assert applied[topics.events.name].parent == bot_span
    assert applied[topics.tier_changes.name].parent == folded.span
    assert {made.name for made in applied.values()} == {"projections apply"}
    # What is refused is on the way too; what nobody traces has no span.
    others = {(made.trace, made.service) for made in collected.spans if made.trace != trace}
    assert others == {("a" * 32, "botpulse-streams"), ("a" * 32, "botpulse-projections")}
    assert all(made.seconds >= 0 for made in collected.spans)

    for worker in workers:
        assert str(USER) not in worker.output
        assert "Ann" not in worker.output
    lines = [json.loads(line) for line in workers[0].output.splitlines()]
    assert [line["event"] for line in lines][:1] == ["starting"]
    (refused,) = [line for line in lines if line["event"] == "records were refused"]
    assert refused["level"] == "warning"
    place = (refused["topic"], refused["partition"], refused["offset"])
    assert place == (topics.events.name, partition_of(key, 4), 2)
    assert refused["reasons"] == {"syntax": 1}


def test_without_the_setting_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys\nfrom schemas.process import tracing\nassert tracing.from_environment('x') is None\n"
        "assert tracing.current_header() == []\nprint([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lines_on_a_terminal_are_for_people() -> None:
    code = (
        "import logging, structlog\nfrom schemas.process import logs\nlogs.configure()\n"
        "structlog.get_logger('x').info('at work', partitions=[1, 2])\nlogging.getLogger('faust').info('of Faust')"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "at work" in shown
    assert "of Faust" in shown
    assert "{" not in shown
