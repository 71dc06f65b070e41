"""docs/settings.md has every setting that there is, with its default and the processes that read it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

from pydantic_settings import BaseSettings

from deploy.exporter.settings import Settings as ExporterSettings
from deploy.settings import Settings
from projections.settings import Settings as ProjectionsSettings
from schemas.kafka.connection import MECHANISMS, PROTOCOLS, SETTINGS, KafkaSecurity
from schemas.process.tracing import ENDPOINTS
from schemas.publisher.settings import Settings as PublisherSettings
from streams.settings import Settings as StreamsSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/settings.md").read_text("utf-8")
CLASSES: dict[str, type[BaseSettings]] = {
    "streams": StreamsSettings,
    "projections": ProjectionsSettings,
    "exporter": ExporterSettings,
    "commands": Settings,
}
NO_SETTING = re.compile(r"BOTPULSE_BENCH_\w+|PATH")
"""What a benchmark tells its own children, and what a server of the local stack inherits."""
WITHOUT_STACK = {"KAFKA_BOOTSTRAP_SERVERS": "needed", "BOTPULSE_HOME": ".botpulse"}
"""Defaults that a class makes by itself: the commands look for the local stack."""


class Row(NamedTuple):
    """A setting as the page has it."""

    processes: frozenset[str]
    default: str
    meaning: str


def rows() -> dict[str, Row]:
    """The page's tables of settings, by name; each name once."""
    found = re.findall(r"^\| `([A-Z0-9_]+)` \| ([a-z, ]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    names = [name for name, *_ in found]
    assert len(set(names)) == len(names)
    return {n: Row(frozenset(who.split(", ")), default.strip("`"), text) for n, who, default, text in found}


def code() -> str:
    """All Python code of the product."""
    return "\n".join(path.read_text("utf-8") for part in ("schemas", "streams", "projections", "deploy")
                     for path in sorted((ROOT / part).rglob("*.py")))  # fmt: skip


def written(value: object) -> str:
    """A default as the page writes it."""
    return "–" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)


def test_each_settings_class_is_on_the_page() -> None:
    page = rows()
    for process, settings in CLASSES.items():
        fields = {str(field.validation_alias): field for field in settings.model_fields.values()}
        for name, field in fields.items():
            expected = "needed" if field.is_required() else WITHOUT_STACK.get(name) or written(field.default)
            assert (process in page[name].processes, page[name].default) == (True, expected), name
    for name, field_name in SETTINGS.items():
        default = written(getattr(KafkaSecurity(), field_name))
        assert (page[name].processes, page[name].default) == ({"streams", "projections", "commands", "bot"}, default)
    assert all(f"`{value}`" in page["KAFKA_SECURITY_PROTOCOL"].meaning for value in PROTOCOLS)
    assert all(f"`{value}`" in page["KAFKA_SASL_MECHANISM"].meaning for value in MECHANISMS)


def test_no_process_is_said_to_read_what_it_does_not() -> None:
    for name, row in rows().items():
        for process in row.processes & set(CLASSES) - {"commands"}:
            known = {str(field.validation_alias) for field in CLASSES[process].model_fields.values()}
            shared = process != "exporter" and (name in SETTINGS or name.startswith("OTEL_"))
            assert name in known or shared, f"{name}: {process}"


def test_whatever_else_is_read_from_the_environment_is_on_the_page_and_nothing_more() -> None:
    text = code()
    read = set(re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"|secret\(\"(\w+)\"\)|envvar=\"(\w+)\"", text))
    names = {name for found in read for name in found if name and not NO_SETTING.fullmatch(name)}
    fields = {str(field.validation_alias) for settings in CLASSES.values() for field in settings.model_fields.values()}
    compose = re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "docker-compose.yml").read_text("utf-8"))
    page = rows()
    for name, default in compose:
        assert (page[name].processes, page[name].default) == ({"compose"}, default)
    assert set(page) == names | fields | set(SETTINGS) | set(ENDPOINTS) | {name for name, _ in compose}


def test_what_may_come_from_a_file_is_said() -> None:
    calls = re.findall(r"(?<!_)secret\(\"(\w+)\"|with_secrets\(given, ([^)]*)\)", code())
    names = {name for one, more in calls for name in [one, *re.findall(r"\w+", more)] if name}
    assert {name for name, row in rows().items() if "or from a file" in row.meaning} == names
    security = (ROOT / "docs/security.md").read_text("utf-8")
    assert all(f"`{name}_FILE`" in security for name in names)


def test_the_publishers_own_are_on_the_page() -> None:
    found = dict(re.findall(r"^\| `([a-z_]+)` \| `([^`]+)` \| [^|]+ \|$", PAGE, re.MULTILINE))
    assert found == {field.name: str(field.default) for field in dataclasses.fields(PublisherSettings)}
