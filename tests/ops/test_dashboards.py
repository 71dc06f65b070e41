"""Every query of the dashboards, against a Prometheus that scraped the real services and the database they filled."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import yaml

from deploy.checks import tools
from deploy.local.ports import free_port
from tests.support.http import get
from tests.support.installation import Installation
from tests.support.services import eventually

DEPLOY = Path(tools.__file__).parents[1]
SERVICES = {"streams": "STREAMS", "projections": "PROJECTIONS", "deploy.exporter": "EXPORTER"}
SCRAPES = 6


class Query(NamedTuple):
    """One query of a panel."""

    board: str
    panel: str
    kind: str
    text: str


def queries() -> list[Query]:
    """All queries of all dashboards."""
    found = []
    for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(path.read_text("utf-8"))
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                kind = target["datasource"]["type"]
                text = target["expr"] if kind == "prometheus" else target["rawSql"]
                found.append(Query(board["title"], panel["title"], kind, text))
    return found


class Prometheus:
    """A running server's API."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer; None while nobody answers."""
        status, body = get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if status == 0 or status == 503:
            return None
        answer = json.loads(body)
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    def value(self, expression: str) -> list[Any]:
        """The samples that an expression has now."""
        data = self.ask("query", query=expression)
        return [] if data is None else list(data["result"])


@contextmanager
def prometheus(folder: Path, targets: dict[str, int]) -> Iterator[Prometheus]:
    """Prometheus on the configuration that is shipped, with other addresses and a scrape a second."""
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(DEPLOY / "prometheus" / "alerts.yml")]
    for job in configuration["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{targets.pop(job['job_name'])}"]}]
    assert not targets, "jobs that the shipped configuration lacks"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), "utf-8")
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(tools.prometheus()[0]),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(20)


async def test_every_query_finds_something(installation: Installation) -> None:
    ports: dict[str, int] = {}
    with ExitStack() as running:
        for module, prefix in SERVICES.items():
            name = module.rpartition(".")[2]
            ports[f"botpulse-{name}"] = free_port(ports.values())
            installation.environment[f"{prefix}_HTTP_PORT"] = str(ports[f"botpulse-{name}"])
        installation.environment["EXPORTER_DATABASE_URL"] = installation.database_url
        installation.environment["EXPORTER_INTERVAL_SECONDS"] = "1"
        for module in SERVICES:
            installation.start(module, running)
        server = running.enter_context(prometheus(installation.folder, dict(ports)))
        await eventually(lambda: len(server.value("up == 1")) == len(ports), "every service is scraped")
        await installation.botpulse(
            "simulate", "--events=20000", "--users=400", "--days=60", "--seed=5", "--rate=2000",
            "--faults=duplicates=0.01,conflicts=0.005,poison=0.002",
        )  # fmt: skip
        await installation.botpulse("wait", "--timeout=120")
        await installation.botpulse("verify")

        def scraped() -> bool:
            verified = server.value(f"count_over_time(botpulse_verify_differences[1m]) >= {SCRAPES}")
            return bool(verified) and len(server.value(f"count_over_time(up[1m]) >= {SCRAPES}")) == len(ports)

        await eventually(scraped, "some scrapes after the verification")

        groups = server.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert rules
        assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []

        asked = queries()
        empty = [query for query in asked if query.kind == "prometheus" and not server.value(query.text)]
        as_in_a_database_of_its_own = {"search_path": "botpulse", "timezone": "UTC", "role": "botpulse_analyst"}
        connection = await asyncpg.connect(installation.database_url, server_settings=as_in_a_database_of_its_own)
        try:
            empty += [query for query in asked if query.kind != "prometheus" and not await connection.fetch(query.text)]
        finally:
            await connection.close()
        assert empty == []
        assert {query.kind for query in asked} == {"prometheus", "grafana-postgresql-datasource"}
