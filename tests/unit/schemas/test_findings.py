"""What is wrong with a setting or a mapping, in words that people can do something with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from deploy.backfill.mapping import read_mapping
from deploy.exporter.settings import Settings as ExporterSettings
from deploy.settings import Settings
from deploy.times import moment_of
from projections.settings import Settings as ProjectionsSettings
from schemas.errors import ConfigurationError
from schemas.publisher import Publisher
from schemas.tier_changes import TierChanges
from streams.settings import Settings as StreamsSettings

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}
HINT = " (for the local stack: botpulse up, botpulse env)"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "EXPORTER_DATABASE_URL", "PROJECTIONS_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.mark.parametrize(
    ("settings", "given", "line"),
    [
        (StreamsSettings, {}, f"setting KAFKA_BOOTSTRAP_SERVERS is missing{HINT}"),
        (StreamsSettings, {"KAFKA_BOOTSTRAP_SERVERS": ""}, f"setting KAFKA_BOOTSTRAP_SERVERS is empty{HINT}"),
        (
            StreamsSettings,
            {"STREAMS_HTTP_PORT": "http"},
            f"setting KAFKA_BOOTSTRAP_SERVERS is missing; STREAMS_HTTP_PORT must be an integer{HINT}",
        ),
        (StreamsSettings, {**KAFKA, "STREAMS_HTTP_PORT": "0.5"}, f"setting STREAMS_HTTP_PORT must be an integer{HINT}"),
        (ProjectionsSettings, KAFKA, f"setting DATABASE_URL is missing, and so is PROJECTIONS_DATABASE_URL{HINT}"),
        (
            ProjectionsSettings,
            {**KAFKA, "DATABASE_URL": "mysql://x"},
            f"setting DATABASE_URL: must begin with postgresql://{HINT}",
        ),
        (ExporterSettings, {}, "setting EXPORTER_DATABASE_URL is missing, and so is DATABASE_URL"),
        (
            ExporterSettings,
            {"DATABASE_URL": "postgresql://x/y", "EXPORTER_INTERVAL_SECONDS": "often"},
            "setting EXPORTER_INTERVAL_SECONDS must be a number",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting(
    settings: type[Settings], given: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        settings.from_environment()
    assert str(refused.value) == line


@pytest.mark.parametrize("prefix", ["bad prefix!", "bad\n", "b" * 201, "é."])
def test_a_prefix_that_kafka_cannot_have(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://x/y")
    for good in ("", "Shop-1_eu."):
        monkeypatch.setenv("BOTPULSE_TOPIC_PREFIX", good)
        assert Settings.from_environment().topics.events.name == f"{good}bot.events"
    monkeypatch.setenv("BOTPULSE_TOPIC_PREFIX", prefix)
    readers: list[Callable[[], object]] = [
        Settings.from_environment,
        StreamsSettings.from_environment,
        ProjectionsSettings.from_environment,
        partial(Publisher.from_environment, source="/bot"),
        partial(TierChanges.from_environment, group="g"),
    ]
    for read in readers:
        with pytest.raises(ConfigurationError, match=r"^setting BOTPULSE_TOPIC_PREFIX: a prefix of topics has only "):
            read()


def test_the_exporter_takes_the_installers_database_where_it_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://x/installer")
    read = ExporterSettings.from_environment()
    assert (read.database_setting, read.database_url) == ("DATABASE_URL", "postgresql://x/installer")
    monkeypatch.setenv("EXPORTER_DATABASE_URL", "postgresql://x/own")
    # The bot's own perhaps; with one of its own the exporter does not look at it.
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://x/bot")
    read = ExporterSettings.from_environment()
    assert (read.database_setting, read.database_url) == ("EXPORTER_DATABASE_URL", "postgresql://x/own")


def test_a_wrong_mapping(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    facts = '[[facts]]\nevent = "user.registered"\ntable = "users"\nkey = "id"\nsubject = "id"\n'
    path.write_text(f'source = "/x"\n{facts}tabel = "x"\n[facts.data]\nusername = {{dollars = true}}\n')
    with pytest.raises(ConfigurationError) as refused:
        read_mapping(path)
    assert str(refused.value).removeprefix(f"{path}: ").split("; ") == [
        "facts.0.time is missing",
        "facts.0.data.username: say either column or value",
        "facts.0.tabel is not known",
    ]


def test_a_time_that_is_none() -> None:
    assert moment_of("--from", "2026-01-02").isoformat() == "2026-01-02T00:00:00+00:00"
    assert moment_of("--from", "2026-01-02T03:04:05+01:00").isoformat() == "2026-01-02T02:04:05+00:00"
    for text in ("foo", "0001-01-01T00:00:00+01:00"):
        with pytest.raises(ConfigurationError, match=r"--from .*: a time is written as 2026-01-02T03:04:05Z"):
            moment_of("--from", text)
