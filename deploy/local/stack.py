"""LocalStack: one Kafka broker and one Postgres server, started once and found again by every command."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deploy.local import kafka, ports
from deploy.local.errors import LocalStackError, MissingPartError
from deploy.local.guardian import Guardian
from deploy.local.lock import exclusive
from deploy.local.places import server_account
from deploy.local.processes import resident_bytes
from deploy.local.progress import Progress, silent
from deploy.local.servers import Servers, stop_one
from deploy.local.state import Options, ServiceState, ServiceStatus, StackInfo, StackStatus, State

STOP_MODES = {
    "smart": signal.SIGTERM,  # waits for the clients to leave
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,  # as a crash: the next start recovers from the log
    "kill": signal.SIGKILL,
}


class LocalStack:
    """The stack of one home folder; any number of instances, in any processes, may look at one home.

    `options` say how a start by this instance runs the servers; a stack that is up already stays as it is.
    """

    def __init__(self, home: Path, options: Options | None = None) -> None:
        self.home = home.expanduser().absolute()
        self.options = options or Options()
        self._servers = Servers(self.home)
        self._guardian: Guardian | None = None

    # -- the four commands ------------------------------------------------------------------------------------

    def up(self, progress: Progress = silent, *, tied: bool = False, wipe_at_end: bool = False) -> StackInfo:
        """Start both servers, or find them running (then `started` of the result is False).

        Two calls at once, in any processes, take turns: the second finds what the first started. When one of the two
        has died, both are started again on their old data. With `tied` the stack ends with this process, however that
        ends (and then with `wipe_at_end` the home is removed); without it the stack stays up after this process.

        Raises MissingPartError when a wheel, a jar or an account is missing, StartError when a server doesn't start.
        After any error or interrupt nothing that this call started is running.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MissingPartError(
                f"the folder {self.home} can't be made ({error.strerror}): set BOTPULSE_HOME to another one."
            ) from error
        with exclusive(self.home, progress):
            found = self.find()
            return found if found is not None else self._start(progress, tied=tied, wipe=wipe_at_end)

    def down(self, progress: Progress = silent) -> bool:
        """Stop both servers and return once they have ended; the data stays. False when nothing was running."""
        if not self.home.is_dir():
            return False
        with exclusive(self.home, progress):
            stopped = self._servers.stop(progress)
        self._release()
        return stopped

    def find(self) -> StackInfo | None:
        """The stack when both servers' processes are running, else None. Asks no server; see `status` for that.

        Raises LocalStackError when the state file can't be read.
        """
        state = self._servers.read()
        if state is None or not state.complete or state.kafka.process is None or state.postgres.process is None:
            return None
        if state.kafka.process.process() is None or state.postgres.process.process() is None:
            return None
        return self._info(state)

    def status(self) -> StackStatus:
        """Both servers as they are now, each asked whether it answers."""
        state = self._servers.read() or State(data=self.home / "data", password="")
        return StackStatus(
            self.home,
            self._status_of("kafka", state.kafka, lambda: kafka.answers(state.kafka.port)),
            self._status_of(
                "postgres", state.postgres, lambda: self._servers.postgres(state, server_account()).answers()
            ),
        )

    def wipe(self) -> None:
        """Stop both servers and remove the home with all data."""
        if not self.home.is_dir():
            return
        with exclusive(self.home, silent):
            self._servers.wipe()
        self._release()

    # -- one server at a time, for tests of faults ------------------------------------------------------------

    def kill_broker(self) -> None:
        """End the broker with SIGKILL, as a crash."""
        with exclusive(self.home, silent):
            stop_one(self._servers.known().kafka.process, signal.SIGKILL)

    def restart_broker(self) -> StackInfo:
        """Start the broker again after an end of any kind (a running one is stopped first): same port, same data.

        Raises StartError when it doesn't start; nothing of it is running then.
        """
        with exclusive(self.home, silent):
            stop_one(self._servers.known().kafka.process, signal.SIGTERM)
            self._servers.start_broker()
            return self._info(self._servers.known())

    def stop_postgres(self, mode: str = "fast") -> None:
        """End Postgres: "smart", "fast", "immediate" (as pg_ctl's modes) or "kill" (SIGKILL)."""
        how = STOP_MODES[mode]
        with exclusive(self.home, silent):
            stop_one(self._servers.known().postgres.process, how)

    def start_postgres(self) -> StackInfo:
        """Start Postgres again after `stop_postgres`: same port, same data. Does nothing while it is running.

        Raises StartError when it doesn't start; nothing of it is running then.
        """
        with exclusive(self.home, silent):
            process = self._servers.known().postgres.process
            if process is None or process.process() is None:
                self._servers.start_postgres()
            return self._info(self._servers.known())

    # -- for the guardian -------------------------------------------------------------------------------------

    def stop_start(self, start_id: str, *, wipe: bool = False) -> None:
        """Stop what the start of that name started; nothing when somebody else has started the stack since."""
        if not self.home.is_dir():
            return
        with exclusive(self.home, silent):
            state = self._servers.read()
            if state is not None and state.start_id == start_id:
                if wipe:
                    self._servers.wipe()
                else:
                    self._servers.stop(silent)

    # -- inside -----------------------------------------------------------------------------------------------

    def _start(self, progress: Progress, *, tied: bool, wipe: bool) -> StackInfo:
        self._servers.stop(silent)  # what a cut-off start or a dead server's partner left
        self._release()
        start_id = secrets.token_hex(8)
        self._servers.prepare(start_id, self.options)
        self._guardian = Guardian(self.home, start_id, wipe=wipe)
        try:
            state = self._servers.start(progress)
        except BaseException:
            self._servers.stop(silent)
            self._release()
            raise
        if not tied:
            self._release()
        return replace(self._info(state), started=True)

    def _release(self) -> None:
        if self._guardian is not None:
            self._guardian.release()
            self._guardian = None

    def _info(self, state: State) -> StackInfo:
        if state.kafka.process is None or state.postgres.process is None:
            raise LocalStackError(f"the local stack under {self.home} is not complete: run `botpulse up`")
        return StackInfo(
            bootstrap_servers=state.bootstrap_servers,
            database_url=state.database_url,
            home=self.home,
            data=state.data,
            kafka_pid=state.kafka.process.pid,
            postgres_pid=state.postgres.process.pid,
            kafka_log=self._servers.log("kafka"),
            postgres_log=self._servers.log("postgres"),
        )

    def _status_of(self, name: str, service: ServiceState, answers: Callable[[], bool]) -> ServiceStatus:
        process = service.process.process() if service.process is not None else None
        address = f"{ports.LOOPBACK}:{service.port}" if service.port else ""
        log = self._servers.log(name)
        if process is None:
            return ServiceStatus(name, False, False, address, None, 0, log)
        return ServiceStatus(name, True, answers(), address, process.pid, resident_bytes(process), log)
