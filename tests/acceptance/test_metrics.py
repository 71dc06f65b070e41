"""What the services serve on /metrics is what docs/metrics.md says, and the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import free_port
from tests.support.http import get
from tests.support.installation import Installation
from tests.support.services import eventually

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
SERVICES = {"streams": "STREAMS", "projections": "PROJECTIONS", "deploy.exporter": "EXPORTER"}
OUTSIDE = ("process_",)
"""What the client library says of any process; it adds when each counter was made."""


UNKNOWN = "?"


class Row(NamedTuple):
    """A metric as the page has it."""

    name: str
    kind: str
    labels: str
    meaning: str


def documented() -> set[Row]:
    """The rows of the page's tables."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {Row(*row) for row in rows}


def served(text: str) -> Iterator[Row]:
    """The metrics of an answer; the labels of one without a sample, which are not served, are `UNKNOWN`."""
    for family in text_string_to_metric_families(text):
        if family.name.startswith(OUTSIDE) or family.name.endswith("_created"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(sorted({label for sample in family.samples for label in sample.labels} - {"le"}))
        yield Row(name, family.type, labels if family.samples else UNKNOWN, family.documentation)


async def test_the_page_is_true(installation: Installation) -> None:
    ports = {}
    with ExitStack() as running:
        for module, prefix in SERVICES.items():
            ports[module] = free_port(ports.values())
            installation.environment[f"{prefix}_HTTP_PORT"] = str(ports[module])
        installation.environment["EXPORTER_DATABASE_URL"] = installation.database_url
        installation.environment["EXPORTER_INTERVAL_SECONDS"] = "1"
        workers = [installation.start(module, running) for module in SERVICES]
        await eventually(lambda: all(get(port, "/readyz")[0] == 200 for port in ports.values()), "all are ready")
        await installation.botpulse(
            "simulate", "--events=3000", "--users=60", "--days=30", "--seed=3",
            "--faults=duplicates=0.05,conflicts=0.02,poison=0.01",
        )  # fmt: skip
        await installation.botpulse("wait", "--timeout=120")
        await installation.botpulse("verify")
        await eventually(lambda: "botpulse_verify_differences 0" in get(ports["deploy.exporter"], "/metrics")[1], "")
        pages = [get(port, "/metrics")[1] for port in ports.values()]
        assert [worker.terminate() for worker in workers] == [0, 0, 0]

    found = {row for page in pages for row in served(page)}
    told = documented()
    assert {row.name for row in told} == {row.name for row in found}
    labels = {row.name: row.labels for row in told}
    assert told == {row._replace(labels=labels[row.name]) if row.labels == UNKNOWN else row for row in found}
    silent = {row.name for row in found if row.labels == UNKNOWN}
    assert len(silent) < len(found) / 10, silent
    users = set(await installation.value("SELECT array_agg(telegram_id::text) FROM botpulse.users"))
    values = {value for page in pages for value in re.findall(r'(?:\w+)="([^"]*)"', page)}
    assert not users & values, "no label tells of a single user"
