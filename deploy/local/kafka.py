"""One Kafka broker (KRaft, broker and controller in one process), as the local stack runs it."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StartError
from deploy.local.places import Account
from deploy.local.ports import LOOPBACK
from deploy.local.processes import ProcessIdentity, base_environment, opened_log, spawn

FORMAT_SECONDS = 60
# The contract's largest record is 1 MiB of value; dead letters wrap one, so twice that and room for headers.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
METADATA, METADATA_VERSION = 3, 1


@dataclass(frozen=True)
class Broker:
    """How to format, start and ask the broker whose files are in `folder` (made by its first start)."""

    folder: Path
    log: Path
    account: Account
    java_home: Path
    jars: tuple[Path, ...]
    port: int
    controller_port: int
    benchmark: bool = False

    @property
    def marker(self) -> str:
        return kafka_marker(self.folder)

    def answers(self) -> bool:
        """See the function `answers`."""
        return answers(self.port)

    def start(self) -> ProcessIdentity:
        """Start the process, after formatting the storage when this is its first start. It isn't ready yet.

        Raises StartError when the storage can't be formatted.
        """
        properties = self._write_configuration()
        self._format(properties)
        return spawn(
            [*self._java(), self.marker, "kafka.Kafka", str(properties)],
            marker=self.marker, account=self.account, folder=self.folder, log=self.log,
            environment=self._environment(),
        )  # fmt: skip

    def _format(self, properties: Path) -> None:
        done = self.folder / "formatted"
        if done.exists():
            return
        shutil.rmtree(self.folder / "logs", ignore_errors=True)  # half-formatted by a start that was cut off
        command = self._format_command(properties)
        with opened_log(self.log, command[0]) as output:
            try:
                subprocess.run(
                    command, cwd=self.folder, env={**base_environment(), **self._environment()}, check=True,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=FORMAT_SECONDS,
                    start_new_session=True, **self.account.popen_arguments(),
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as error:
                raise StartError("Kafka", f"its storage can't be formatted ({_short(error)})", self.log) from error
        done.touch()

    def _format_command(self, properties: Path) -> list[str]:
        tool = [*self._java(), self.marker, "kafka.tools.StorageTool", "format"]
        return [*tool, "-t", new_cluster_id(), "-c", str(properties)]

    def _java(self) -> list[str]:
        # One short-lived node on few cores: the serial collector and the quick compiler start fastest.
        speed = ["-Xmx1g"] if self.benchmark else ["-XX:TieredStopAtLevel=1", "-Xmx512m"]
        return [
            str(self.java_home / "bin" / "java"),
            "-XX:+UseSerialGC",
            *speed,
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",  # no file outside our folders
            "--enable-native-access=ALL-UNNAMED",  # this and the next: no warnings about what Kafka does
            "--sun-misc-unsafe-memory-access=allow",
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
        ]

    def _environment(self) -> dict[str, str]:
        return {"CLASSPATH": ":".join(map(str, self.jars)), "JAVA_HOME": str(self.java_home)}

    def _write_configuration(self) -> Path:
        for folder in (self.folder, self.folder / "tmp"):
            folder.mkdir(exist_ok=True)
            self.account.give(folder)
        # Copied: the servers' account may not be able to read the file inside our package.
        shutil.copyfile(Path(__file__).with_name("log4j2.properties"), self.folder / "log4j2.properties")
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        return properties

    def _properties(self) -> dict[str, object]:
        properties: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "log.dirs": self.folder / "logs",
            "auto.create.topics.enable": "false",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
            "log.retention.ms": -1,
            "log.retention.bytes": -1,
            "default.replication.factor": 1,
            "min.insync.replicas": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "controlled.shutdown.enable": "false",  # there is no other broker to hand anything to
        }
        for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
            properties[f"{topic}.num.partitions"] = 4
            properties[f"{topic}.replication.factor"] = 1
        properties["transaction.state.log.min.isr"] = 1
        properties["share.coordinator.state.topic.min.isr"] = 1
        return properties


def new_cluster_id() -> str:
    """A random cluster id as Kafka writes them: 22 characters, the first no dash (it would be taken for an option)."""
    cluster_id = "-"
    while cluster_id.startswith("-"):
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return cluster_id


def kafka_marker(folder: Path) -> str:
    """The argument that marks the broker of this folder."""
    return f"-Dbotpulse.kafka={folder}"


def answers(port: int, timeout: float = 2.0) -> bool:
    """Whether the broker on this port answers a metadata request and counts itself in.

    Spoken by hand: a client library would log its failed attempts while the broker is still starting.
    """
    request = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, -1) + struct.pack(">i", 0)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                size = struct.unpack(">i", stream.read(4))[0]
                correlation, brokers = struct.unpack_from(">ii", stream.read(size))
    except (OSError, struct.error):
        return False
    return bool(correlation == 1 and brokers >= 1)


def _short(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit status {error.returncode}"
    return error.strerror or str(error) if isinstance(error, OSError) else type(error).__name__
