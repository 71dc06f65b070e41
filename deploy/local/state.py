"""What is known about a local stack: written to `<home>/state.json`, read by every command."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from deploy.local.errors import LocalStackError
from deploy.local.ports import LOOPBACK
from deploy.local.processes import ProcessIdentity

DATABASE = "botpulse"
DATABASE_USER = "botpulse"
VERSION = 1


@dataclass(frozen=True)
class Options:
    """How the servers run.

    durable: Postgres waits for the disk at every commit; without it a power cut (not a crash of the process) may
        cost the data, which tests don't mind.
    benchmark: Kafka's JVM compiles fully and has a heap of 1 GiB instead of 512 MiB.
    postgres_major: 18 or 16, the two that the wheel carries.
    """

    durable: bool = True
    benchmark: bool = False
    postgres_major: int = 18


@dataclass(frozen=True)
class ServiceState:
    """One server: its ports (kept over restarts) and its process while it runs. `controller_port` is Kafka's only."""

    port: int = 0
    controller_port: int = 0
    process: ProcessIdentity | None = None


@dataclass(frozen=True)
class State:
    """The content of the state file. `start_id` names the start that made it, `complete` says that start succeeded."""

    data: Path
    start_id: str = ""
    complete: bool = False
    options: Options = field(default_factory=Options)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    kafka: ServiceState = field(default_factory=ServiceState)
    postgres: ServiceState = field(default_factory=ServiceState)

    @property
    def bootstrap_servers(self) -> str:
        return f"{LOOPBACK}:{self.kafka.port}"

    @property
    def database_url(self) -> str:
        return f"postgresql://{DATABASE_USER}:{self.password}@{LOOPBACK}:{self.postgres.port}/{DATABASE}"

    def with_kafka(self, **changes: Any) -> Self:
        return replace(self, kafka=replace(self.kafka, **changes))

    def with_postgres(self, **changes: Any) -> Self:
        return replace(self, postgres=replace(self.postgres, **changes))


@dataclass(frozen=True)
class StackInfo:
    """A stack that is up. `started` is True when the call that returned this started it, False when it found it."""

    bootstrap_servers: str
    database_url: str = field(repr=False)  # holds the password
    home: Path
    data: Path
    kafka_pid: int
    postgres_pid: int
    kafka_log: Path
    postgres_log: Path
    started: bool = False

    def environment(self) -> dict[str, str]:
        """The variables that make every command and service use this stack."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers, "DATABASE_URL": self.database_url}


@dataclass(frozen=True)
class ServiceStatus:
    """One server now. `answers`: it served a request just now. `resident_bytes`: its memory, children included."""

    name: str
    running: bool
    answers: bool
    address: str
    pid: int | None
    resident_bytes: int
    log: Path


@dataclass(frozen=True)
class StackStatus:
    """Both servers now."""

    home: Path
    kafka: ServiceStatus
    postgres: ServiceStatus

    @property
    def up(self) -> bool:
        """Both answer."""
        return self.kafka.answers and self.postgres.answers


def read_state(path: Path) -> State | None:
    """The state in a file, None when there is no file. Raises LocalStackError when it can't be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalStackError(
            f"{path} can't be read ({error.strerror}): was this stack started by another user?"
        ) from error
    try:
        content = json.loads(text)
        if content.pop("version") != VERSION:
            raise ValueError("another version of botpulse wrote it")  # noqa: TRY301
        return State(
            data=Path(content["data"]),
            start_id=content["start_id"],
            complete=content["complete"],
            options=Options(**content["options"]),
            password=content["password"],
            kafka=_service(content["kafka"]),
            postgres=_service(content["postgres"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalStackError(
            f"{path} is not a state file of this version ({error}): stop what it describes and remove {path.parent}."
        ) from error


def write_state(path: Path, state: State) -> None:
    """Replace the file in one step; only its owner can read it (it holds the password)."""
    content = {"version": VERSION, **asdict(state), "data": str(state.data)}
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    new.replace(path)


def _service(content: dict[str, Any]) -> ServiceState:
    process = content["process"]
    return ServiceState(
        content["port"], content["controller_port"], None if process is None else ProcessIdentity(**process)
    )
