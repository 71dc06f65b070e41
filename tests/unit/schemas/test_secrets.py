"""Secrets from files, what is shown of them, and settings of Kafka that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.settings import Settings
from projections.settings import Settings as ProjectionsSettings
from schemas.errors import ConfigurationError
from schemas.kafka.connection import KafkaSecurity
from schemas.process.secret_files import masked_url, secret

SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "ann", "KAFKA_SASL_PASSWORD": "hush"}


def test_a_secret_is_the_value_or_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "it").write_text("hush hush\r\n")
    assert secret("IT", {}) is None
    assert secret("IT", {"IT": "", "IT_FILE": ""}) is None
    assert secret("IT", {"IT": "hush"}) == "hush"
    assert secret("IT", {"IT_FILE": str(tmp_path / "it")}) == "hush hush"


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        (b"hush", {"IT": "hush"}, "settings IT and IT_FILE: both are set"),
        (None, {}, "setting IT_FILE: can't read .*No such file"),
        (b"\n", {}, "setting IT_FILE: .* is empty"),
        (b"\xff\xfe", {}, "setting IT_FILE: .* is no text"),
    ],
)
def test_a_secret_that_is_unclear_is_refused(
    tmp_path: Path, content: bytes | None, more: dict[str, str], words: str
) -> None:
    if content is not None:
        (tmp_path / "it").write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as refused:
        secret("IT", {"IT_FILE": str(tmp_path / "it"), **more})
    assert "hush" not in str(refused.value)


def test_the_settings_classes_read_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("postgresql://ann:hush@db/botpulse\n")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for settings in (Settings.from_environment(), ProjectionsSettings.from_environment()):
        url = settings.database_url() if isinstance(settings, Settings) else settings.database_url
        assert url == "postgresql://ann:hush@db/botpulse"
        assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hush@db:5432/b?sslmode=require", "postgresql://ann:***@db:5432/b?sslmode=require"),
        ("postgresql://db/b?user=ann&password=hush&sslpassword=hush", "postgresql://db/b?user=ann&password=***&sslpassword=***"),
        ("postgresql://ann@db,other:5433/b", "postgresql://ann@db,other:5433/b"),
        ("hush", "***"),
        ("postgresql://[hush/", "***"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: 'TLS' is none of PLAINTEXT, SSL"),
        ({**SASL, "KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM: 'GSSAPI' is none of"),
        ({**SASL, "KAFKA_SASL_PASSWORD": ""}, "SASL_SSL needs both"),
        ({**SASL, "KAFKA_SECURITY_PROTOCOL": "SSL"}, "SSL sends no KAFKA_SASL_USERNAME"),
        ({"KAFKA_SSL_CA_FILE": "/ca.pem"}, "PLAINTEXT is not encrypted"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_FILE": "/k.pem"}, "setting KAFKA_SSL_CERT_FILE: "),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        KafkaSecurity.from_environment(settings)
    assert "hush" not in str(refused.value)


def test_a_ca_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path, words in ((tmp_path / "ca.pem", "no usable PEM"), (tmp_path / "none.pem", "can't be read")):
        security = KafkaSecurity.from_environment({**SASL, "KAFKA_SSL_CA_FILE": str(path)})
        assert "hush" not in repr(security)
        with pytest.raises(ConfigurationError, match=f"KAFKA_SSL_CA_FILE: .*{words}"):
            security.options()
