"""One Postgres server, as the local stack runs it: its initdb and postgres are started directly."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalStackError, StartError
from deploy.local.places import Account
from deploy.local.ports import LOOPBACK
from deploy.local.processes import ProcessIdentity, base_environment, opened_log, spawn
from deploy.local.state import DATABASE, DATABASE_USER

INITDB_SECONDS = 120


@dataclass(frozen=True)
class Postgres:
    """How to initialise, start and ask the server whose files are in `folder` (made by its first start)."""

    folder: Path
    log: Path
    account: Account
    program_home: Path
    port: int
    password: str
    durable: bool = True

    @property
    def data(self) -> Path:
        return postgres_data(self.folder)

    @property
    def marker(self) -> str:
        return str(self.data)

    def start(self) -> ProcessIdentity:
        """Start the process, after initdb when this is its first start. It isn't ready yet.

        Raises StartError when initdb fails.
        """
        self.folder.mkdir(exist_ok=True)
        self.account.give(self.folder)
        self._initialise()
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",  # socket paths have a length limit, and nothing needs them
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": 200,
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self.program_home / "bin" / "postgres"), "-D", self.marker]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return spawn(command, marker=self.marker, account=self.account, folder=self.folder, log=self.log,
                     environment={})  # fmt: skip

    def _initialise(self) -> None:
        done = self.folder / "initialised"
        if done.exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # left by a start that was cut off
        secret = self.folder / "password"
        try:
            descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(self.password + "\n")
            self.account.give(secret)
            # --locale=C: text sorts and compares by its code points, the same on every machine.
            command = [
                str(self.program_home / "bin" / "initdb"), "-D", str(self.data), "-U", DATABASE_USER,
                f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions",
            ]  # fmt: skip
            if not self.durable:
                command.append("--no-sync")
            with opened_log(self.log, command[0]) as output:
                subprocess.run(
                    command, cwd=self.folder, env=base_environment(), check=True, stdin=subprocess.DEVNULL,
                    stdout=output, stderr=subprocess.STDOUT, timeout=INITDB_SECONDS, start_new_session=True,
                    **self.account.popen_arguments(),
                )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise StartError("Postgres", f"initdb failed ({type(error).__name__})", self.log) from error
        finally:
            secret.unlink(missing_ok=True)
        done.touch()

    def answers(self, timeout: float = 5.0) -> bool:
        """Whether the server accepts a query."""
        return self._query("SELECT 1", timeout=timeout) == "1"

    def create_database(self) -> None:
        """Create the stack's database where it is missing. Raises LocalStackError when the server refuses."""
        if self._query(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'") != "1":  # noqa: S608 - a constant
            self._query(f"CREATE DATABASE {DATABASE}")
            if self._query("SELECT 1", database=DATABASE) != "1":
                raise LocalStackError(f"Postgres did not create the database {DATABASE} (log: {self.log})")

    def _query(self, sql: str, *, database: str = "postgres", timeout: float = 30.0) -> str | None:
        command = [
            str(self.program_home / "bin" / "psql"), "--no-psqlrc", "-tAqc", sql,
            "-h", LOOPBACK, "-p", str(self.port), "-U", DATABASE_USER, "-d", database,
        ]  # fmt: skip
        environment = {**base_environment(), "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "5"}
        try:
            answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True,
                                    stdin=subprocess.DEVNULL, timeout=timeout)  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        return answer.stdout.strip()


def postgres_data(folder: Path) -> Path:
    """The data directory of the server in this folder; also the argument that marks its process."""
    return folder / "pgdata"
