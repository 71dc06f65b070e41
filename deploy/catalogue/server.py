"""A Postgres server for a moment, of any version that is found."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.places import server_account
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import Postgres
from deploy.local.processes import stop
from deploy.local.servers import wait_for
from deploy.local.state import DATABASE, DATABASE_USER

OLDEST_MAJOR: Final = 15
_DEBIAN: Final = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Server:
    """A running server: its programs' folder, and the URL of its database."""

    program_home: Path
    database_url: str

    def program(self, name: str) -> str:
        """The path of psql, pg_dump and so on."""
        return str(self.program_home / "bin" / name)


def system_postgres() -> Path | None:
    """The folder of the newest Postgres that the system has installed, None without one that is supported."""
    found = [folder for folder in _DEBIAN.glob("*") if (folder / "bin" / "postgres").exists() and folder.name.isdigit()]
    newest = max(found, key=lambda folder: int(folder.name), default=None)
    return newest if newest is not None and int(newest.name) >= OLDEST_MAJOR else None


@contextmanager
def server(program_home: Path) -> Iterator[Server]:
    """Start a server without data, and take it away at the end."""
    account, password = server_account(), secrets.token_urlsafe(12)
    folder = Path(tempfile.mkdtemp(prefix="botpulse-postgres-"))
    try:
        folder.chmod(0o755)
        postgres = Postgres(
            folder / "data", folder / "log", account, program_home, free_port(), password, durable=False
        )
        identity = postgres.start()
        try:
            wait_for("Postgres", identity, postgres.answers, postgres.log)
            postgres.create_database()
            yield Server(program_home, f"postgresql://{DATABASE_USER}:{password}@{LOOPBACK}:{postgres.port}/{DATABASE}")
        finally:
            if (process := identity.process()) is not None:
                stop([(process, signal.SIGINT)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
