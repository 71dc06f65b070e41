"""Every client of Kafka connects as `schemas.kafka.connection` says: one that did not would be left out of TLS."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
CLIENTS = ("AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient")
GIVEN = {"schemas/publisher/kafka.py", "schemas/tier_changes.py"}
"""The bot's side: whoever makes these gives the options, `from_environment` those of the module."""


def test_every_client_takes_the_options_of_the_one_module() -> None:
    seen = []
    for package in ("schemas", "streams", "projections", "deploy"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("deploy/bench/workers/") or name in GIVEN:
                continue
            for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
                if ast.unparse(call.func).rpartition(".")[2] not in CLIENTS:
                    continue
                spread = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None]
                assert any(value.startswith("client_options(") for value in spread), f"{name}:{call.lineno}"
                seen.append(name)
    assert len(seen) > 10
