"""Kafka by SASL and TLS with rights by principal, Postgres by TLS, secrets from files: with the real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from deploy.catalogue.server import system_postgres
from deploy.kafka import partitions_of
from deploy.local.ports import free_port
from projections.database import open_connection
from schemas.errors import ConfigurationError
from schemas.events import PaymentSucceeded
from schemas.kafka.connection import client_options
from schemas.publisher import Accepted, Publisher
from schemas.tier_changes import TierChanges
from tests.support.cli import Ran, botpulse
from tests.support.http import get
from tests.support.secured import MECHANISMS, ROOT, Secured, encrypted_postgres, secured
from tests.support.services import Service, eventually, service
from tests.support.stack import open_folder

BOT_GROUP = "the-bot"
PAYMENT = {"charge_id": "c1", "provider": "stripe", "method": "card", "amount_cents": 10_000}


@pytest.fixture(scope="module")
def place() -> Iterator[Secured]:
    """Secured servers with the rights, topics and tables of an installation, made by our own commands."""
    with secured() as servers:

        async def install() -> None:
            await done(servers.kafka(ROOT), "acls", "apply", f"--bot-group={BOT_GROUP}")
            await done(servers.kafka("botpulse-installer"), "topics", "apply", "--partitions=2")
            await done(servers.database(), "migrate")

        asyncio.run(install())
        yield servers


async def done(settings: dict[str, str], *arguments: str) -> Ran:
    """A command that succeeds."""
    ran = await botpulse(settings, *arguments)
    assert ran.status == 0, ran.err
    return ran


def as_process(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Let this process connect with these settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


async def test_the_whole_way(place: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = {**place.kafka("botpulse-operator"), **place.database()}
    port = free_port()
    with ExitStack() as running:

        def start(module: str, settings: dict[str, str]) -> Service:
            return running.enter_context(service(module, settings, tmp_path / f"{module}.log"))

        workers = [
            start("streams", place.kafka("botpulse-streams", "SCRAM-SHA-256")),
            start("projections", {**place.kafka("botpulse-projections"), **place.database("PROJECTIONS_DATABASE_URL")}),
            start("deploy.exporter", {**place.database("EXPORTER_DATABASE_URL"), "EXPORTER_HTTP_PORT": str(port)}),
        ]
        as_process(monkeypatch, {**place.kafka("botpulse-bot", "PLAIN"), "BOTPULSE_SPOOL": str(tmp_path / "spool")})
        async with Publisher.from_environment(source="/bots/test") as publisher:
            assert await publisher.publish(publisher.new(PaymentSucceeded, 7, PAYMENT)) is Accepted.LOG
        async with TierChanges.from_environment(group=BOT_GROUP, since="beginning") as changes:
            async with asyncio.timeout(60):
                assert (await anext(changes)).data.current == "premium"
        await done(operator, "simulate", "--events=300", "--users=20", "--seed=5")
        await done(operator, "wait", "--timeout=60")
        await done(operator, "verify")
        assert "premium" in (await done(operator, "explain", "7")).out  # read over a connection of its own kind
        await eventually(lambda: get(port, "/readyz")[0] == 200, "the exporter has read")
        assert [worker.terminate() for worker in workers] == [0, 0, 0], [worker.output for worker in workers]
    text = "".join(worker.output for worker in workers)
    assert not [word for word in place.passwords.values() if word in text]


@pytest.mark.parametrize("home", [None, *([system_postgres()] if system_postgres() else [])], ids=str)
async def test_postgres_by_tls(home: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    with open_folder() as folder, encrypted_postgres(folder, authority, home) as url:
        authority.cert_pem.write_to_path(folder / "ca.pem")
        settings = {"DATABASE_URL": url, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(folder / "ca.pem")}
        await done(settings, "migrate")
        as_process(monkeypatch, settings)
        connection = await open_connection(url, application_name="test", lock_timeout_ms=1000, role=None)
        try:
            if home is not None:
                assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        finally:
            await connection.close()
        ran = await botpulse({**settings, "PGSSLROOTCERT": str(folder / "none.pem")}, "maintenance")
        assert (ran.status, ran.err.count("\n")) == (2, 1), ran.err


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_wrong_password_is_one_line(place: Secured, tmp_path: Path, mechanism: str) -> None:
    (tmp_path / "wrong").write_text("wrong-secret")
    settings = {**place.kafka("botpulse-streams", mechanism), **place.database()}
    settings["KAFKA_SASL_PASSWORD_FILE"] = str(tmp_path / "wrong")
    programs = ("streams", "projections") if mechanism == MECHANISMS[0] else ()
    said = [await refused(settings, module, tmp_path) for module in programs]
    ran = await botpulse(settings, "wait")
    assert (ran.status, ran.out) == (2, "")
    for line in [*said, ran.err]:
        assert "refused the user or the password; correct KAFKA_SASL_USERNAME" in line
        assert len(line.strip().splitlines()) == 1
        assert "wrong-secret" not in line


async def test_a_wrong_authority_is_one_line(place: Secured, tmp_path: Path) -> None:
    settings = {**place.kafka("botpulse-streams"), **place.database(), "KAFKA_SSL_CA_FILE": str(place.other_ca)}
    said = [await refused(settings, module, tmp_path) for module in ("streams", "projections")]
    said.append((await botpulse(settings, "wait")).err)
    for line in said:
        assert "certificate of Kafka at localhost" in line
        assert "correct KAFKA_SSL_CA_FILE" in line
        assert len(line.strip().splitlines()) == 1

    settings = {**place.kafka("botpulse-projections"), **place.database("PROJECTIONS_DATABASE_URL", place.other_ca)}
    line = await refused(settings, "projections", tmp_path)
    assert "PROJECTIONS_DATABASE_URL: no TLS with Postgres at localhost" in line
    assert "its certificate is not to be trusted" in line
    assert len(line.strip().splitlines()) == 1
    assert place.database_url.split("@")[0] not in line


async def refused(settings: dict[str, str], module: str, folder: Path) -> str:
    """What a service says that does not start."""
    log = folder / f"{module}-refused.log"
    log.unlink(missing_ok=True)
    with service(module, settings, log) as started:
        assert await started.exited() == 2, started.output
        return started.output


async def test_a_client_may_be_known_by_its_certificate(place: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": str(place.ca), "KAFKA_SSL_CERT_FILE": str(place.client),
    }  # fmt: skip
    as_process(monkeypatch, settings)
    client = AIOKafkaAdminClient(**client_options(place.certificates_servers))
    await client.start()
    await client.close()
    settings["KAFKA_BOOTSTRAP_SERVERS"] = place.certificates_servers
    ran = await botpulse({**settings, **place.database()}, "wait")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "may not use bot.dead-letters, bot.events, bot.tier-changes" in ran.err

    del settings["KAFKA_SSL_CERT_FILE"]
    ran = await botpulse({**settings, **place.database()}, "wait")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "came to no TLS (" in ran.err


async def test_what_the_rights_keep_out(place: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(user: str, topic: str) -> None:
        as_process(monkeypatch, place.kafka(user))
        async with AIOKafkaProducer(**client_options(place.bootstrap_servers)) as producer:
            await producer.send_and_wait(topic, b"{}", partition=0)

    async def read(user: str, topic: str, group: str | None = None) -> None:
        as_process(monkeypatch, place.kafka(user))
        async with consumer(place, group) as client:
            client.assign([TopicPartition(topic, 0)])
            if group is not None:
                await client.committed(TopicPartition(topic, 0))
            await client.seek_to_beginning()
            await client.getmany(timeout_ms=2_000)

    await read("botpulse-projections", "bot.events")
    for user, topic in [
        ("botpulse-bot", "bot.tier-changes"),
        ("botpulse-bot", "bot.user-aggregates"),
        ("botpulse-streams", "bot.events"),
        ("botpulse-streams", "bot.audit-heads"),
        ("botpulse-projections", "bot.events"),
        ("botpulse-projections", "bot.tier-changes"),
        ("botpulse-operator", "bot.audit-heads"),
        ("botpulse-installer", "bot.events"),
    ]:
        with pytest.raises(TopicAuthorizationFailedError):
            await write(user, topic)
    for user, topic in [
        ("botpulse-bot", "bot.events"),
        ("botpulse-streams", "bot.dead-letters"),
        ("botpulse-projections", "bot.audit-heads"),
    ]:
        with pytest.raises(TopicAuthorizationFailedError):
            await read(user, topic)
    for user, topic in [
        ("botpulse-bot", "bot.user-ledger"),
        ("botpulse-streams", "bot.audit-heads"),
        ("botpulse-projections", "bot.user-ledger"),
    ]:
        as_process(monkeypatch, place.kafka(user))
        with pytest.raises(ConfigurationError, match=f"may not use {topic}"):
            await partitions_of(place.bootstrap_servers, SimpleNamespace(name=topic))
    with pytest.raises(GroupAuthorizationFailedError):
        await read("botpulse-projections", "bot.events", "botpulse-streams")
    ran = await botpulse(place.kafka("botpulse-operator"), "acls", "apply")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "may grant nothing" in ran.err


@asynccontextmanager
async def consumer(place: Secured, group: str | None) -> AsyncIterator[AIOKafkaConsumer]:
    client = AIOKafkaConsumer(**client_options(place.bootstrap_servers), group_id=group, enable_auto_commit=False)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def test_a_broker_without_rights_says_so(stack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ran = await botpulse({"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers}, "acls", "apply")
    assert ran.status == 2
    assert "checks nobody's rights" in ran.err


async def test_settings_are_shown_without_a_secret(place: Secured) -> None:
    settings = {
        **place.kafka("botpulse-projections"),
        "DATABASE_URL": "postgresql://ann:secret-one@db/botpulse?password=secret-two",
        "KAFKA_SSL_CERT_FILE": "a.pem",
        "KAFKA_SSL_KEY_PASSWORD": "secret-three",
    }
    shown = {row["name"]: row for row in (await done(settings, "settings", "projections", "--json")).json["settings"]}
    assert shown["DATABASE_URL"]["value"] == "postgresql://ann:***@db/botpulse?password=***"
    assert (shown["KAFKA_SASL_PASSWORD"]["value"], shown["KAFKA_SASL_PASSWORD"]["origin"]) == (
        "***", "KAFKA_SASL_PASSWORD_FILE",
    )  # fmt: skip
    for arguments in (["settings", "projections"], ["settings", "streams"], ["settings"]):
        ran = await done(settings, *arguments)
        assert "secret-" not in ran.out + ran.err
