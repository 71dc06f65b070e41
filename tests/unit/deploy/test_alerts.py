"""Alerts, runbook and dashboards name each other and the metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def test_every_alert_has_its_section_of_the_runbook() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text("utf-8"), re.MULTILINE)
    assert [rule["alert"] for rule in RULES] == [*dict.fromkeys(rule["alert"] for rule in RULES)]
    assert {rule["alert"] for rule in RULES} == set(sections)
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_alert_is_tested() -> None:
    tests = yaml.safe_load((ROOT / "deploy/prometheus/alerts_test.yml").read_text("utf-8"))["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in RULES}
