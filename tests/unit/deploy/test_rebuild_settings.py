"""`botpulse rebuild` finds Kafka and Postgres as every other command does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.commands.rebuild import _projection_settings
from deploy.local import LocalStack

NAMES = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "DATABASE_URL_FILE", "PROJECTIONS_DATABASE_URL")
URL = "postgresql://me:secret@db.example/botpulse"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set but an empty home."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BOTPULSE_HOME", str(tmp_path))


def test_of_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = SimpleNamespace(bootstrap_servers="127.0.0.1:4242", database_url=URL)
    monkeypatch.setattr(LocalStack, "find", lambda _: stack)
    settings = _projection_settings(offline=False)
    assert (settings.bootstrap_servers, settings.database_url) == ("127.0.0.1:4242", URL)


def test_the_installers_login_is_taken_and_not_the_projectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("PROJECTIONS_DATABASE_URL", "postgresql://projector@db.example/botpulse")
    settings = _projection_settings(offline=True)
    assert (settings.database_setting, settings.database_url) == ("DATABASE_URL", URL)


def test_without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    assert _projection_settings(offline=True).database_url == URL


def test_a_url_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert _projection_settings(offline=True).database_url == URL
