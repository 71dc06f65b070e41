"""How this process connects to Kafka: in the clear or by TLS, and as whom. Every client of the project asks here.

    AIOKafkaConsumer(**client_options(bootstrap_servers), ...)

| setting | meaning |
|---|---|
| KAFKA_SECURITY_PROTOCOL | PLAINTEXT (default), SSL, SASL_PLAINTEXT or SASL_SSL |
| KAFKA_SASL_MECHANISM | SCRAM-SHA-512 (default), SCRAM-SHA-256 or PLAIN |
| KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD | who this process is; with SASL both are needed |
| KAFKA_SSL_CA_FILE | the CA that signed the brokers' certificates, as PEM; by default the system's |
| KAFKA_SSL_CERT_FILE, KAFKA_SSL_KEY_FILE | this process's own certificate and key, as PEM, where the brokers want one |
| KAFKA_SSL_KEY_PASSWORD | of an encrypted key |

The two passwords may come from files: KAFKA_SASL_PASSWORD_FILE, KAFKA_SSL_KEY_PASSWORD_FILE.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from ..errors import ConfigurationError
from ..process.secret_files import secret

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
SETTINGS: Final = {
    "KAFKA_SECURITY_PROTOCOL": "protocol",
    "KAFKA_SASL_MECHANISM": "mechanism",
    "KAFKA_SASL_USERNAME": "username",
    "KAFKA_SASL_PASSWORD": "password",
    "KAFKA_SSL_CA_FILE": "ca_file",
    "KAFKA_SSL_CERT_FILE": "cert_file",
    "KAFKA_SSL_KEY_FILE": "key_file",
    "KAFKA_SSL_KEY_PASSWORD": "key_password",
}
"""Every setting with its field of KafkaSecurity."""
_ATTEMPT_MS: Final = 5_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """The settings, checked against one another; the fields as in the table above."""

    protocol: str = "PLAINTEXT"
    mechanism: str = MECHANISMS[0]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment. Raises ConfigurationError naming the setting that is wrong or missing."""

        def one_of(name: str, allowed: tuple[str, ...]) -> str:
            value = environ.get(name) or allowed[0]
            if value not in allowed:
                raise ConfigurationError(f"setting {name}: {value!r} is none of {', '.join(allowed)}")
            return value

        security = cls(
            protocol=one_of("KAFKA_SECURITY_PROTOCOL", PROTOCOLS),
            mechanism=one_of("KAFKA_SASL_MECHANISM", MECHANISMS),
            username=environ.get("KAFKA_SASL_USERNAME") or None,
            password=secret("KAFKA_SASL_PASSWORD", environ),
            ca_file=environ.get("KAFKA_SSL_CA_FILE") or None,
            cert_file=environ.get("KAFKA_SSL_CERT_FILE") or None,
            key_file=environ.get("KAFKA_SSL_KEY_FILE") or None,
            key_password=secret("KAFKA_SSL_KEY_PASSWORD", environ),
        )
        security._check()
        return security

    @property
    def has_sasl(self) -> bool:
        """Whether a name and a password are sent."""
        return self.protocol.startswith("SASL_")

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted, and the broker's certificate verified."""
        return self.protocol.endswith("SSL")

    def _check(self) -> None:
        if self.has_sasl and (self.username is None or self.password is None):
            raise ConfigurationError(
                f"settings KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE): "
                f"{self.protocol} needs both"
            )
        # Settings that would do nothing are a mistake, and here one that sends what should be hidden.
        if not self.has_sasl and (self.username or self.password):
            raise ConfigurationError(
                f"setting KAFKA_SECURITY_PROTOCOL: {self.protocol} sends no KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD; make it SASL_SSL (or SASL_PLAINTEXT), or leave them out"
            )
        if not self.has_tls and (self.ca_file or self.cert_file):
            raise ConfigurationError(
                f"setting KAFKA_SECURITY_PROTOCOL: {self.protocol} is not encrypted, so KAFKA_SSL_CA_FILE and "
                "KAFKA_SSL_CERT_FILE do nothing; make it SSL or SASL_SSL, or leave them out"
            )
        if self.key_file and not self.cert_file:
            raise ConfigurationError("setting KAFKA_SSL_CERT_FILE: KAFKA_SSL_KEY_FILE is set, its certificate is not")

    def options(self) -> dict[str, Any]:
        """The options of aiokafka's clients. Raises ConfigurationError for a file that can't be used."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.has_tls:
            options["ssl_context"] = self._context()
        if self.has_sasl:
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    def _context(self) -> ssl.SSLContext:
        context = _usable("KAFKA_SSL_CA_FILE", lambda: ssl.create_default_context(cafile=self.ca_file))
        if self.cert_file is not None:
            cert_file = self.cert_file
            # A function: with None OpenSSL would ask on the terminal.
            password = self.key_password or ""
            _usable(
                "KAFKA_SSL_CERT_FILE, KAFKA_SSL_KEY_FILE",
                lambda: context.load_cert_chain(cert_file, self.key_file, lambda: password),
            )
        return context


def _usable(setting: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except ssl.SSLError as error:
        raise ConfigurationError(f"setting {setting}: no usable PEM file ({error.reason or 'unreadable'})") from None
    except OSError as error:
        raise ConfigurationError(f"setting {setting}: can't be read ({error.strerror})") from None


def client_options(bootstrap_servers: str | Sequence[str]) -> dict[str, Any]:
    """The options with which a client of this process connects. Raises ConfigurationError for a wrong setting."""
    return {"bootstrap_servers": bootstrap_servers, **KafkaSecurity.from_environment().options()}


def check_visible(described: Iterable[Mapping[str, Any]]) -> None:
    """Of what a broker says of topics: raise ConfigurationError where this user may not even ask for them."""
    hidden = sorted(topic["topic"] for topic in described if topic["error_code"] == TopicAuthorizationFailedError.errno)
    if hidden:
        raise ConfigurationError(
            f"the user of KAFKA_SASL_USERNAME may not use {', '.join(hidden)}: let one of the broker's super.users run "
            "`botpulse acls apply`"
        )


async def why_refused(options: Mapping[str, Any]) -> str | None:
    """After a failed connection: what the broker, or we, found wrong with the other; None where nobody answers at all.

    `options` are those of the client. aiokafka tells its log alone, so one more attempt is made to see it.
    """
    chosen = {name: options[name] for name in options if name.startswith(("security_", "ssl_", "sasl_"))}
    for host, port, _ in collect_hosts(options["bootstrap_servers"]):
        try:
            opened = await create_conn(host, port, client_id="botpulse", request_timeout_ms=_ATTEMPT_MS, **chosen)
        except ssl.SSLCertVerificationError as error:
            return (
                f"the certificate of Kafka at {host}:{port} is not to be trusted ({error.verify_message}); "
                "correct KAFKA_SSL_CA_FILE or KAFKA_BOOTSTRAP_SERVERS"
            )
        except ssl.SSLError as error:
            return _no_tls(host, port, error)
        except SaslAuthenticationFailed:
            return (
                f"Kafka at {host}:{port} refused the user or the password; correct KAFKA_SASL_USERNAME, "
                "KAFKA_SASL_PASSWORD (or its file) or KAFKA_SASL_MECHANISM"
            )
        except UnsupportedSaslMechanismError:
            return f"Kafka at {host}:{port} does not take {chosen['sasl_mechanism']}; correct KAFKA_SASL_MECHANISM"
        except (KafkaError, OSError, TimeoutError) as error:
            # What the broker thinks of our certificate comes after the handshake.
            if isinstance(error.__cause__, ssl.SSLError):
                return _no_tls(host, port, error.__cause__)
            continue
        opened.close()
    return None


def _no_tls(host: str, port: int, error: ssl.SSLError) -> str:
    return (
        f"Kafka at {host}:{port} and this process came to no TLS ({error.reason}); correct KAFKA_SECURITY_PROTOCOL, "
        "KAFKA_SSL_CERT_FILE or KAFKA_SSL_KEY_FILE"
    )
