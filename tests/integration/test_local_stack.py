"""The local stack: started once, found again, stopped without a trace, whatever goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import LocalStack, Options, StackInfo, ports, servers
from deploy.local.errors import StartError
from deploy.local.processes import ProcessIdentity
from deploy.local.state import State, write_state
from tests.support.ordinary import ordinary_user
from tests.support.processes import processes_of, wait_until
from tests.support.stack import open_folder

COMMAND = [sys.executable, "-c", "from deploy.cli import main; main()"]
START_SECONDS = 120


@pytest.fixture
def home() -> Iterator[Path]:
    with open_folder() as folder:
        home = folder / "home"
        yield home
        LocalStack(home).wipe()
        assert processes_of(folder) == []


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], check=False, timeout=START_SECONDS, **_how(home))


@contextmanager
def begun(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*COMMAND, *words], **_how(home)) as process:
        try:
            yield process
        finally:
            process.kill()


def values_in_a_shell(lines: str) -> list[str]:
    script = f'{lines}\nprintf "%s\\n%s" "$KAFKA_BOOTSTRAP_SERVERS" "$DATABASE_URL"'
    seen = subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, text=True, env={})
    return seen.stdout.split("\n")


def _how(home: Path) -> dict[str, Any]:
    return {
        "env": {**os.environ, "BOTPULSE_HOME": str(home)},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


async def count_users(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_user"))
    finally:
        await connection.close()


async def topic_names(bootstrap_servers: str, *new: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        if new:
            await admin.create_topics([NewTopic(name, 1, 1) for name in new])
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def test_two_starts_at_once_give_one_stack_that_every_command_finds_and_down_ends(home: Path) -> None:
    with begun(home, "up", "--json") as one, begun(home, "up", "--json") as other:
        answers = [json.loads(each.communicate(timeout=START_SECONDS)[0]) for each in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0)
    assert sorted(answer.pop("started") for answer in answers) == [False, True]
    assert answers[0] == answers[1]

    again = run(home, "up")
    assert (again.returncode, "were up already" in again.stdout) == (0, True)
    status = json.loads(run(home, "status", "--json").stdout)
    assert (status["up"], status["kafka"]["answers"], status["postgres"]["answers"]) == (True, True, True)

    # A shell takes the lines of `env` as they are.
    servers, url = values_in_a_shell(run(home, "env").stdout)
    assert (servers, url) == (answers[0]["bootstrap_servers"], answers[0]["database_url"])
    assert await count_users(url) == 1
    assert "anything" not in await topic_names(servers)

    assert run(home, "down").returncode == 0
    assert processes_of(home) == []
    assert run(home, "down").returncode == 0
    assert run(home, "status").returncode == 1
    nothing = run(home, "env")
    assert nothing.returncode == 2
    assert "botpulse up" in nothing.stderr
    assert "Traceback" not in nothing.stderr


def test_env_quotes_what_a_shell_would_take_apart(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from deploy.cli import command_line

    home.mkdir()
    me = psutil.Process()
    mine = ProcessIdentity(me.pid, me.create_time(), me.cmdline()[0])
    state = State(data=home / "data", complete=True, password="a b'c$(d)")
    write_state(home / "state.json", state.with_kafka(port=1, process=mine).with_postgres(port=2, process=mine))
    monkeypatch.setenv("BOTPULSE_HOME", str(home))
    _, url = values_in_a_shell(CliRunner().invoke(command_line(), ["env"]).stdout)
    assert url == "postgresql://botpulse:a b'c$(d)@127.0.0.1:2/botpulse"
    write_state(home / "state.json", state)


def test_a_recycled_pid_is_never_stopped(home: Path) -> None:
    home.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "a marker"]) as innocent:
        process = psutil.Process(innocent.pid)
        wait_until(lambda: "a marker" in process.cmdline(), "the child runs Python")
        true = ProcessIdentity(innocent.pid, process.create_time(), "a marker")
        assert true.process() is not None
        for stale in (replace(true, started=true.started - 60), replace(true, marker="another marker")):
            state = State(data=home / "data", complete=True).with_kafka(process=stale).with_postgres(process=stale)
            write_state(home / "state.json", state)
            assert LocalStack(home).find() is None
            assert LocalStack(home).down() is False
            assert innocent.poll() is None
        innocent.kill()


def _program(folder: Path, name: str, last_words: str) -> Path:
    program = folder / "bin" / name
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{last_words}' >&2\nexit 3\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(("place", "program"), [("java_home", "java"), ("postgres_home", "initdb")])
def test_a_failed_start_says_why_and_leaves_no_process(
    home: Path, monkeypatch: pytest.MonkeyPatch, place: str, program: str
) -> None:
    broken = _program(home.parent / "broken", program, "error: broken on purpose")
    monkeypatch.setattr(servers, place, lambda *_: broken)
    with pytest.raises(StartError, match="error: broken on purpose") as failure:
        LocalStack(home).up()
    assert "\n" not in str(failure.value)
    assert str(failure.value.log) in str(failure.value)
    assert processes_of(home.parent) == []


@pytest.fixture
def taken_ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Three ports that others listen on; what the stack chooses first."""
    import socket

    holders = [socket.create_server((ports.LOOPBACK, 0)) for _ in range(3)]
    taken = [holder.getsockname()[1] for holder in holders]
    left = list(taken)
    real = ports.free_port
    monkeypatch.setattr(ports, "free_port", lambda avoid=(): left.pop() if left else real(avoid))
    yield taken
    for holder in holders:
        holder.close()


def test_a_port_taken_between_choosing_and_binding_is_replaced(home: Path, taken_ports: list[int]) -> None:
    info = LocalStack(home, Options(durable=False)).up()
    assert int(info.bootstrap_servers.rpartition(":")[2]) not in taken_ports
    assert LocalStack(home).status().up


def test_ports_that_stay_taken_fail_in_one_line(
    home: Path, taken_ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "PORT_ATTEMPTS", 1)
    with pytest.raises(StartError, match="did not start"):
        LocalStack(home).up()
    assert processes_of(home.parent) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupt_in_the_middle_of_a_start_leaves_no_process(home: Path, how: signal.Signals) -> None:
    with begun(home, "up") as started:
        wait_until(lambda: any("bin/java" in line for line in processes_of(home)), "Java runs")
        started.send_signal(how)
        _, words = started.communicate(timeout=START_SECONDS)
    if how is signal.SIGKILL:  # then the guardian does it
        wait_until(lambda: processes_of(home) == [], f"nothing runs: {processes_of(home)}")
    else:
        assert started.returncode == 128 + how
        assert "interrupted" in words
        assert "Traceback" not in words
    assert processes_of(home) == []


def test_up_in_the_foreground_stops_both_when_it_is_asked_to_end(home: Path) -> None:
    with begun(home, "up", "--foreground", "--json") as foreground:
        assert foreground.stdout is not None
        assert json.loads(foreground.stdout.readline())["started"] is True
        second = run(home, "up", "--foreground")
        assert (second.returncode, "already" in second.stderr) == (2, True)
        assert LocalStack(home).find() is not None
        foreground.terminate()
        assert foreground.wait(START_SECONDS) == 0
    assert processes_of(home) == []


async def test_servers_come_back_on_their_ports_with_their_data(home: Path) -> None:
    stack = LocalStack(home, Options(durable=False))
    before = stack.up()
    assert await topic_names(before.bootstrap_servers, "kept") == {"kept"}
    stack.kill_broker()
    assert stack.find() is None
    after = stack.restart_broker()
    assert after.bootstrap_servers == before.bootstrap_servers
    assert after.kafka_pid != before.kafka_pid
    assert await topic_names(after.bootstrap_servers) == {"kept"}

    connection = await asyncpg.connect(before.database_url)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await connection.close()
    for mode in ("fast", "immediate", "kill"):
        stack.stop_postgres(mode)
        assert not stack.status().postgres.running
        assert stack.start_postgres().database_url == before.database_url
    stack.down()
    # A new start after `down`: the same password and data, as another process would see them.
    again = LocalStack(home).up()
    connection = await asyncpg.connect(again.database_url)
    assert await connection.fetchval("SELECT number FROM kept") == 7
    await connection.close()
    assert await topic_names(again.bootstrap_servers) == {"kept"}


def test_a_stack_tied_to_a_process_ends_with_it(home: Path) -> None:
    code = "import pathlib, sys, time; from deploy.local import LocalStack; "
    code += "LocalStack(pathlib.Path(sys.argv[1])).up(tied=True, wipe_at_end=True); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        assert LocalStack(home).find() is not None
        owner.kill()
    wait_until(lambda: not home.exists() and processes_of(home) == [], "the stack and its home are gone")


def test_an_ordinary_user_and_a_home_that_only_root_can_look_into(home: Path, stack: StackInfo) -> None:
    user = ordinary_user(home.parent)
    theirs = home.parent / "ordinary-home" / "stack"
    command = [*user.python, *COMMAND[1:], "up", "--json", "--home", str(theirs)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, **user.arguments)
    assert answer.returncode == 0, answer.stderr
    info = json.loads(answer.stdout)
    assert psutil.Process(info["kafka"]["pid"]).uids().real != 0
    assert LocalStack(theirs).status().up
    command = [*user.python, *COMMAND[1:], "down", "--home", str(theirs)]
    subprocess.run(command, check=True, timeout=120, **user.arguments)
    assert processes_of(theirs) == []

    home.mkdir(mode=0o700)
    closed = LocalStack(home / "closed", Options(durable=False))
    found = closed.up()
    assert closed.status().up
    assert (home in found.data.parents) is (os.geteuid() != 0)
    assert psutil.Process(found.postgres_pid).uids().real != 0
    closed.wipe()
    assert not found.data.exists()
    assert processes_of(found.data) == []
