"""A real Kafka that wants TLS and a password and checks rights, and a real Postgres with TLS, with CAs of their own."""

from __future__ import annotations

import secrets
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.catalogue.server import server
from deploy.local.jars import ensure_jars
from deploy.local.kafka import Broker
from deploy.local.places import Account, cache_folder, java_home, postgres_home, server_account
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import stop
from deploy.local.servers import wait_for
from tests.support.databases import execute, run_apart
from tests.support.stack import open_folder
from tests.support.tls import tls_in_front

MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
ROOT = "root"
USERS = (ROOT, "botpulse-bot", "botpulse-streams", "botpulse-projections", "botpulse-operator", "botpulse-installer")
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@dataclass(frozen=True)
class SecuredBroker(Broker):
    """A broker that clients reach on `secured_port` (SASL_SSL) and `certificates_port` (SSL, by their certificate).

    The plain port is the broker's own: clients are never told of it.
    """

    secured_port: int = 0
    certificates_port: int = 0
    passwords: dict[str, str] = field(default_factory=dict)

    def _format_command(self, properties: Path) -> list[str]:
        command = super()._format_command(properties)
        for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256"):
            for user, password in self.passwords.items():
                command += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
        return command

    def _properties(self) -> dict[str, object]:
        properties = super()._properties()
        for name in ("listeners", "advertised.listeners"):
            properties[name] = (
                f"{properties[name]},SASL_SSL://localhost:{self.secured_port},SSL://localhost:{self.certificates_port}"
            )
        users = " ".join(f'user_{user}="{password}"' for user, password in self.passwords.items())
        properties |= {
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:ANONYMOUS;User:{ROOT}",
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.folder.parent / "broker.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.folder.parent / "ca.pem",
            "listener.name.ssl.ssl.client.auth": "required",
        }
        for mechanism in MECHANISMS:
            properties[f"listener.name.sasl_ssl.{mechanism.lower()}.sasl.jaas.config"] = (
                f"{_MODULES[mechanism]} required{f' {users}' if mechanism == 'PLAIN' else ''};"
            )
        return properties


@dataclass(frozen=True)
class Secured:
    """Where both are, and all that clients need; `passwords` by user of Kafka."""

    bootstrap_servers: str
    certificates_servers: str
    database_url: str
    passwords: dict[str, str]
    ca: Path
    other_ca: Path
    """Of somebody else."""
    client: Path
    """A certificate with its key, in one PEM file."""
    folder: Path

    def kafka(self, user: str, mechanism: str = MECHANISMS[0]) -> dict[str, str]:
        """The settings of a process that connects as this user; the password comes from a file."""
        path = self.folder / f"{user}.password"
        path.write_text(self.passwords[user] + "\n")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD_FILE": str(path),
            "KAFKA_SSL_CA_FILE": str(self.ca),
        }

    def database(self, setting: str = "DATABASE_URL", ca: Path | None = None) -> dict[str, str]:
        """The setting of a process that connects to Postgres with verify-full; the whole URL comes from a file."""
        path = self.folder / f"{setting}.{(ca or self.ca).stem}.url"
        path.write_text(f"{self.database_url}?sslmode=verify-full&sslrootcert={ca or self.ca}\n")
        return {f"{setting}_FILE": str(path)}


@contextmanager
def secured() -> Iterator[Secured]:
    """Both servers for a while."""
    account = server_account()
    with open_folder() as folder:
        authority, other = trustme.CA(), trustme.CA()
        ca, other_ca = folder / "ca.pem", folder / "other.pem"
        authority.cert_pem.write_to_path(ca)
        other.cert_pem.write_to_path(other_ca)
        client = folder / "client.pem"
        authority.issue_cert("client.test").private_key_and_cert_chain_pem.write_to_path(client)
        passwords = {user: f"secret-{secrets.token_hex(8)}" for user in USERS}
        with (
            _broker(folder, account, authority, passwords) as broker,
            encrypted_postgres(folder, authority) as database_url,
        ):
            yield Secured(
                f"localhost:{broker.secured_port}",
                f"localhost:{broker.certificates_port}",
                database_url,
                passwords,
                ca,
                other_ca,
                client,
                folder,
            )


@contextmanager
def _broker(
    folder: Path, account: Account, authority: trustme.CA, passwords: dict[str, str]
) -> Iterator[SecuredBroker]:
    issued = authority.issue_cert("localhost")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    # Kafka reads PKCS 8 alone.
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _secret(folder / "broker.pem", pem + b"".join(blob.bytes() for blob in issued.cert_chain_pems), account)
    home = folder / "kafka"
    home.mkdir()
    account.give(home)
    ports: list[int] = []
    while len(ports) < 4:
        ports.append(free_port(ports))
    broker = SecuredBroker(
        home, folder / "kafka.log", account, java_home(account), tuple(ensure_jars(cache_folder(account))),
        ports[0], ports[1], secured_port=ports[2], certificates_port=ports[3], passwords=passwords,
    )  # fmt: skip
    identity = broker.start()
    try:
        wait_for("Kafka", identity, broker.answers, broker.log)
        yield broker
    finally:
        if (process := identity.process()) is not None:
            stop([(process, signal.SIGTERM)])


@contextmanager
def encrypted_postgres(folder: Path, authority: trustme.CA, home: Path | None = None) -> Iterator[str]:
    """The URL, without any question of TLS, of a Postgres that speaks nothing else.

    The Postgres of our wheel was built without TLS: a proxy in front of it has it. The system's (`home`) has its own.
    """
    account = server_account()
    issued = authority.issue_cert("localhost")
    with server(home or postgres_home(account)) as postgres:
        url = urlsplit(postgres.database_url)
        if home is None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            issued.configure_cert(context)
            port = free_port()
            with tls_in_front(port, url.port or 0, context):
                yield urlunsplit(url._replace(netloc=f"{url.username}:{url.password}@localhost:{port}"))
            return
        certificate, key = folder / "postgres.pem", folder / "postgres.key"
        _secret(certificate, b"".join(blob.bytes() for blob in issued.cert_chain_pems), account)
        _secret(key, issued.private_key_pem.bytes(), account)
        settings = {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
        statements = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()]
        run_apart(execute(postgres.database_url, *statements, "SELECT pg_reload_conf()"))
        yield postgres.database_url.replace(LOOPBACK, "localhost")


def _secret(path: Path, content: bytes, account: Account) -> None:
    path.touch(0o600)
    path.write_bytes(content)
    account.give(path)
