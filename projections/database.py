"""Connections to Postgres, and what its errors mean for a writer."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from projections.access import PROJECTOR
from schemas.errors import ConfigurationError

SCHEMA: Final = "botpulse"
CONNECT_SECONDS: Final = 5.0
"""One attempt to connect."""
COMMAND_SECONDS: Final = 30.0
"""One statement; past it the connection counts as lost."""

_AWAY: Final[tuple[type[BaseException], ...]] = (
    OSError,  # refused, reset, unreachable, TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # terminated, shutting down, starting up
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.TransactionRollbackError,  # deadlock, serialization failure
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process was frozen inside a batch
    asyncpg.ReadOnlySQLTransactionError,  # still connected to what a failover has made a standby
    asyncpg.InternalClientError,  # the server's last words came at a moment when asyncpg expected none
    asyncpg.InvalidAuthorizationSpecificationError,  # while the service runs: a password in rotation
    asyncpg.InvalidCatalogNameError,  # while the service runs: a database being restored
)

_REFUSED: Final[tuple[type[BaseException], ...]] = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
)


def is_away(error: BaseException, connection: asyncpg.Connection | None) -> bool:
    """Whether the error says nothing about the rows: connecting anew and trying again is right."""
    if isinstance(error, _AWAY):
        return True
    # asyncpg's own errors name both a closed connection and our misuse of an open one.
    return isinstance(error, asyncpg.InterfaceError) and (connection is None or connection.is_closed())


def is_refusal(error: BaseException) -> bool:
    """Whether the error is about a row: the same batch would be refused again."""
    if isinstance(error, _REFUSED):
        return True
    # A value that asyncpg can't send as the column's type.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def describe_refusal(error: BaseException) -> str:
    """Say what was refused without quoting the row: it may hold personal data."""
    state = getattr(error, "sqlstate", None) or "client"
    named = {part: getattr(error, f"{part}_name", None) for part in ("table", "column", "constraint")}
    where = [f"{part} {name}" for part, name in named.items() if name]
    return ", ".join([type(error).__name__.removesuffix("Error"), f"sqlstate {state}", *where])


async def open_connection(
    database_url: str,
    *,
    application_name: str,
    lock_timeout_ms: int,
    idle_in_transaction_ms: int = 0,
    command_seconds: float | None = COMMAND_SECONDS,
    role: str | None = PROJECTOR,
    schema: str = SCHEMA,
) -> asyncpg.Connection:
    """Connect once with the session settings of this package; raises asyncpg's errors and OSError as they are.

    The session acts as `role`, which the login must be a member of; None leaves it the login's own rights.
    Names without a schema are those of `schema`, and what it does not have those of the live one.
    """
    settings = {} if role is None else {"role": role}
    if role == PROJECTOR:
        # Of a batch's arrays the planner sees how long they are, and then reads all of `users` to find some thousands.
        # Without their values it looks each row up: what a batch costs must not grow with the users.
        settings["plan_cache_mode"] = "force_generic_plan"
    return await asyncpg.connect(
        database_url,
        timeout=CONNECT_SECONDS,
        command_timeout=command_seconds,
        server_settings={
            "application_name": application_name,
            "search_path": SCHEMA if schema == SCHEMA else f"{schema}, {SCHEMA}",
            "timezone": "UTC",
            "lock_timeout": str(lock_timeout_ms),
            "idle_in_transaction_session_timeout": str(idle_in_transaction_ms),
            # Compiling a statement costs more than a batch takes.
            "jit": "off",
            **settings,
        },
    )


async def connect(
    database_url: str,
    setting: str,
    *,
    application_name: str,
    lock_timeout_ms: int,
    idle_in_transaction_ms: int = 0,
    command_seconds: float | None = COMMAND_SECONDS,
    patience_seconds: float = 0.0,
    role: str | None = PROJECTOR,
    schema: str = SCHEMA,
) -> asyncpg.Connection:
    """Connect at the start of a program, trying again for `patience_seconds` while nobody answers.

    Raises ConfigurationError, one line that names `setting` and never the password.
    """
    deadline = time.monotonic() + patience_seconds
    where = _place(database_url)
    while True:
        try:
            return await open_connection(
                database_url,
                application_name=application_name,
                lock_timeout_ms=lock_timeout_ms,
                idle_in_transaction_ms=idle_in_transaction_ms,
                command_seconds=command_seconds,
                role=role,
                schema=schema,
            )
        except asyncpg.InvalidAuthorizationSpecificationError:
            raise ConfigurationError(
                f"{setting}: Postgres at {where} refused the user or the password; correct them in {setting}"
            ) from None
        except asyncpg.InvalidCatalogNameError:
            raise ConfigurationError(
                f"{setting}: Postgres at {where} has no such database; create it or correct {setting}"
            ) from None
        except asyncpg.InvalidParameterValueError:
            raise ConfigurationError(
                f"{setting}: Postgres at {where} has no role {role} yet; run `botpulse migrate`"
            ) from None
        except asyncpg.InsufficientPrivilegeError:
            raise ConfigurationError(
                f"{setting}: the user of it may not act as {role}; let an administrator run: GRANT {role} TO that user"
            ) from None
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"{setting}: no TLS with Postgres at {where} ({_tls_problem(error)}); correct sslmode, sslrootcert, "
                f"sslcert or sslkey in {setting} (or PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY)"
            ) from None
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
            if time.monotonic() >= deadline:
                reason = str(error) or "no answer in time"
                raise ConfigurationError(
                    f"{setting}: no Postgres answers at {where} ({_one_line(reason)}); start it (for the local stack: "
                    f"botpulse up) or correct {setting}"
                ) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise ConfigurationError(f"{setting}: can't connect to {where}: {_one_line(str(error))}") from None
        await asyncio.sleep(0.5)


def _place(database_url: str) -> str:
    """Host, port and database of a URL, for a message; never user or password."""
    try:
        parts = urlsplit(database_url)
        port = parts.port or 5432
    except ValueError:
        return "an unreadable address"
    return f"{parts.hostname or 'localhost'}:{port}{parts.path}"


def _tls_problem(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    return error.reason or "handshake failed"


def _one_line(text: str) -> str:
    return " ".join(text.split())
