"""The two servers of one home, started and stopped. Who calls holds the home's lock."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deploy.local import ports
from deploy.local.errors import LocalStackError, MissingPartError, StartError
from deploy.local.jars import ensure_jars
from deploy.local.kafka import Broker, kafka_marker
from deploy.local.places import (
    Account,
    cache_folder,
    data_folder,
    data_folders,
    java_home,
    postgres_home,
    server_account,
)
from deploy.local.postgres import Postgres, postgres_data
from deploy.local.processes import Process, ProcessIdentity, stop, strays
from deploy.local.progress import Progress, silent
from deploy.local.state import Options, State, read_state, write_state

START_SECONDS = 90.0
POLL_SECONDS = 0.05
PORT_ATTEMPTS = 5
PORT_TAKEN = ("Address already in use", "BindException", "could not bind", "could not create any TCP/IP sockets")


class Servers:
    """Kafka and Postgres of one home, as its state file knows them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state_path = home / "state.json"

    def log(self, name: str) -> Path:
        """The file with what a server (kafka, postgres) said."""
        return self.home / "logs" / f"{name}.log"

    # -- the state file ---------------------------------------------------------------------------------------

    def read(self) -> State | None:
        """What the state file says, None without one. Raises LocalStackError when it can't be understood."""
        state = read_state(self.state_path)
        if state is None or state.data in data_folders(self.home):
            return state
        # The home was moved or copied here: what runs, if anything, belongs to the old place.
        state = state.with_kafka(process=None).with_postgres(process=None)
        return replace(state, data=data_folders(self.home)[0], complete=False, start_id="")

    def known(self) -> State:
        """The state. Raises LocalStackError when there is none."""
        state = self.read()
        if state is None:
            raise LocalStackError(f"no local stack was started under {self.home}")
        return state

    def note(self, state: State) -> State:
        """Write the state down and give it back."""
        write_state(self.state_path, state)
        return state

    def prepare(self, start_id: str, options: Options) -> State:
        """Folders and the state file for a start of that name.

        Raises MissingPartError when there is data whose state file is gone (and with it the database's password).
        """
        data = data_folder(self.home, server_account())
        earlier = self.read()
        if earlier is None and any(data.iterdir()):
            raise MissingPartError(f"{data} holds data, but its {self.state_path} is gone: remove that folder.")
        (self.home / "logs").mkdir(exist_ok=True)
        fresh = earlier or State(data=data)
        return self.note(replace(fresh, data=data, start_id=start_id, complete=False, options=options))

    # -- both -------------------------------------------------------------------------------------------------

    def start(self, progress: Progress) -> State:
        """Start both and wait until both answer. On any error some may be left running: call `stop`."""
        state = self.known()
        account = server_account()
        progress("Looking for Java and Postgres")
        self.broker(state, account, progress)  # fetches what is missing, before anything runs
        for attempt in range(1, PORT_ATTEMPTS + 1):
            state = self._with_ports(state, keep=attempt == 1)
            progress("Starting Kafka")
            broker = self.broker(state, account)
            state = self.note(state.with_kafka(process=broker.start()))
            progress("Starting Postgres")
            postgres = self.postgres(state, account)
            state = self.note(state.with_postgres(process=postgres.start()))
            try:
                wait_for("Postgres", state.postgres.process, postgres.answers, postgres.log)
                postgres.create_database()
                progress("Waiting for Kafka")
                wait_for("Kafka", state.kafka.process, broker.answers, broker.log)
            except StartError as failure:
                # A port can be taken by another program between our choice and the server's binding it.
                if attempt == PORT_ATTEMPTS or not any(
                    word in line for line in failure.log_tail for word in PORT_TAKEN
                ):
                    raise
                self.stop(silent)
                state = self.known()
            else:
                return self.note(replace(state, complete=True))
        raise AssertionError("unreachable")

    def stop(self, progress: Progress) -> bool:
        """End both, and any that no state file knows; returns when they ended. False when there was none."""
        state = self.read()
        targets: list[tuple[Process, signal.Signals]] = []
        if state is not None:
            # Postgres' SIGTERM would wait for its clients to leave; SIGINT ends their sessions.
            for identity, how in ((state.kafka.process, signal.SIGTERM), (state.postgres.process, signal.SIGINT)):
                process = identity.process() if identity is not None else None
                if process is not None:
                    targets.append((process, how))
        known = {process.pid for process, _ in targets}
        folders = [state.data] if state is not None else data_folders(self.home)
        markers = {kafka_marker(data / "kafka") for data in folders}
        markers |= {str(postgres_data(data / "postgres")) for data in folders}
        targets += [(process, signal.SIGKILL) for process in strays(markers) if process.pid not in known]
        if targets:
            progress("Stopping Kafka and Postgres")
            stop(targets)
        if state is not None:
            self.note(replace(state.with_kafka(process=None).with_postgres(process=None), complete=False))
        return bool(targets)

    def wipe(self) -> None:
        """Stop both and remove the home with all data."""
        state = self.read()
        self.stop(silent)
        if state is not None:
            shutil.rmtree(state.data, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    # -- one --------------------------------------------------------------------------------------------------

    def broker(self, state: State, account: Account, progress: Progress = silent) -> Broker:
        """The broker that the state describes."""
        return Broker(
            folder=state.data / "kafka",
            log=self.log("kafka"),
            account=account,
            java_home=java_home(account),
            jars=tuple(ensure_jars(cache_folder(account), progress)),
            port=state.kafka.port,
            controller_port=state.kafka.controller_port,
            benchmark=state.options.benchmark,
        )

    def postgres(self, state: State, account: Account) -> Postgres:
        """The Postgres that the state describes."""
        return Postgres(
            folder=state.data / "postgres",
            log=self.log("postgres"),
            account=account,
            program_home=postgres_home(account, state.options.postgres_major),
            port=state.postgres.port,
            password=state.password,
            durable=state.options.durable,
        )

    def start_broker(self) -> None:
        """Start the broker with the ports and data it had and wait until it answers; on an error nothing is left."""
        state = self.known()
        broker = self.broker(state, server_account())
        state = self.note(state.with_kafka(process=broker.start()))
        self._await("Kafka", state.kafka.process, broker.answers, broker.log)

    def start_postgres(self) -> None:
        """Start Postgres with the port and data it had and wait until it answers; on an error nothing is left."""
        state = self.known()
        postgres = self.postgres(state, server_account())
        state = self.note(state.with_postgres(process=postgres.start()))
        self._await("Postgres", state.postgres.process, postgres.answers, postgres.log)

    def _await(self, name: str, identity: ProcessIdentity | None, answers: Callable[[], bool], log: Path) -> None:
        try:
            wait_for(name, identity, answers, log)
        except BaseException:
            stop_one(identity, signal.SIGKILL)
            raise

    def _with_ports(self, state: State, *, keep: bool) -> State:
        """Give every server a free port, its earlier one where that is still free and `keep`."""
        taken: list[int] = []

        def choose(earlier: int) -> int:
            port = earlier if keep and earlier and ports.is_free(earlier) else ports.free_port(taken)
            taken.append(port)
            return port

        state = state.with_kafka(port=choose(state.kafka.port), controller_port=choose(state.kafka.controller_port))
        return self.note(state.with_postgres(port=choose(state.postgres.port)))


def stop_one(identity: ProcessIdentity | None, how: signal.Signals) -> None:
    """End one server with a signal (SIGKILL after a while) and return when it ended."""
    process = identity.process() if identity is not None else None
    if process is not None:
        stop([(process, how)])


def wait_for(name: str, identity: ProcessIdentity | None, answers: Callable[[], bool], log: Path) -> None:
    """Return once the server answers. Raises StartError when its process ends or it keeps silent too long."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if identity is None or identity.process() is None:
            raise StartError(name, "its process ended", log)
        if time.monotonic() > deadline:
            raise StartError(name, f"it did not answer within {START_SECONDS:.0f} s", log)
        time.sleep(POLL_SECONDS)
    if identity is None or identity.process() is None:
        raise StartError(name, "its process ended, and another program answers on its port", log)
