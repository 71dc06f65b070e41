"""What a worker of streams tells its operator over HTTP."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy.local import StackInfo
from deploy.local.ports import free_port
from schemas.topics import Topics
from tests.support.http import get
from tests.support.services import eventually, service


async def test_what_is_served(stack: StackInfo, topics: Topics, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "BOTPULSE_TOPIC_PREFIX": topics.prefix,
        "STREAMS_HTTP_PORT": str(port),
    }
    seen: set[str] = set()
    here = tmp_path / "here"
    here.mkdir()

    def ready() -> bool:
        status, body = get(port, "/readyz")
        seen.add(body)
        return status == 200

    with service("streams", environment, tmp_path / "log", here) as worker:
        await eventually(ready, "readiness")
        assert "no partitions assigned yet\n" in seen, "the port answered before there was work"
        assert get(port, "/livez") == (200, "alive\n")
        assert '"version"' in get(port, "/version")[1]
        assert get(port, "/nothing")[0] == 404
        assert "process_resident_memory_bytes" in get(port, "/metrics")[1]
        assert worker.terminate() == 0, worker.output
        assert "Unclosed" not in worker.output
    assert not list(here.iterdir()), "the working directory is as it was: a service may have one that is read-only"


async def test_a_port_in_use(stack: StackInfo, topics: Topics, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "BOTPULSE_TOPIC_PREFIX": topics.prefix,
            "STREAMS_HTTP_PORT": str(port),
        }
        with service("streams", environment, tmp_path / "log") as worker:
            assert await worker.exited() == 2
    lines = worker.output.splitlines()
    assert len(lines) == 1, worker.output
    assert f"STREAMS_HTTP_PORT: can't listen on 127.0.0.1:{port}" in lines[0]
