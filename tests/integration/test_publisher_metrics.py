"""The metrics of the bot's publisher: as docs/bot.md has them, and with the spool's own numbers."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local import StackInfo
from schemas.events import MessageReceived
from schemas.publisher import Accepted, Publisher, Settings
from schemas.publisher.metrics import PublisherMetrics
from schemas.topics import Topics

ROOT = Path(__file__).parents[2]
QUICK = Settings(acknowledge_seconds=1.0, drain_seconds=5.0)
NOBODY = "127.0.0.1:1"


def scraped(publisher: Publisher) -> dict[str, tuple[str, str, float]]:
    """Kind, meaning and value of every metric."""
    registry = CollectorRegistry()
    registry.register(PublisherMetrics(publisher))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        sample.name: (family.type, family.documentation, sample.value)
        for family in families
        for sample in family.samples
    }


async def test_the_spool_is_seen_from_outside(stack: StackInfo, topics: Topics, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    async with Publisher(NOBODY, source="/bots/t", spool=spool, settings=QUICK) as publisher:
        for number in range(3):
            event = publisher.new(MessageReceived, 7, {"kind": "text"}, id=str(number))
            assert await publisher.publish(event) is Accepted.SPOOL
        found = scraped(publisher)
    values = {name: value for name, (_, _, value) in found.items()}
    assert values["botpulse_publisher_connected"] == 0
    assert values["botpulse_publisher_spooled_events"] == 3
    assert values["botpulse_publisher_spooled_bytes"] > 300
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))["groups"]
    (rule,) = [rule for group in alerts for rule in group["rules"] if rule["alert"] == "BotpulseSpoolNotEmpty"]
    assert rule["expr"].split()[0] in found

    async with Publisher(
        stack.bootstrap_servers, source="/bots/t", topic=topics.events.name, spool=spool, settings=QUICK
    ) as publisher:
        await publisher.flush()
        await publisher._delivery.caught_up.wait()
        values = {name: value for name, (_, _, value) in scraped(publisher).items()}
    assert values["botpulse_publisher_connected"] == 1
    assert values["botpulse_publisher_spooled_events"] == 0
    assert values["botpulse_publisher_acknowledged_events_total"] == 3

    page = (ROOT / "docs/bot.md").read_text("utf-8")
    documented = {
        row[0]: (row[1], row[2]) for row in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|$", page, re.MULTILINE)
    }
    assert documented == {name: (kind, meaning) for name, (kind, meaning, _) in found.items()}
