"""`botpulse up | down | env`: the local stack of Kafka and Postgres."""

from __future__ import annotations

import json
import shlex
import signal
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from deploy.local import LocalStack, Options, StackInfo
from deploy.local.errors import LocalStackError
from deploy.local.home import default_home
from schemas.errors import ConfigurationError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="The stack's folder. Default: $BOTPULSE_HOME, else .botpulse here.", show_default=False
    ),
]
WATCH_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(up)
    app.command()(down)
    app.command()(env)


def up(
    home: Home = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay until Ctrl-C or SIGTERM, then stop both servers.")
    ] = False,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Kafka's JVM at full speed: slower to start, twice the heap.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start a real Kafka and a real Postgres on free local ports, or find them running."""
    stack = LocalStack(home or default_home(), Options(benchmark=benchmark))
    with _interruptible("interrupted: nothing that this command started is running"):
        before = time.monotonic()
        with _progress() as progress:
            info = stack.up(progress, tied=foreground)
        if foreground and not info.started:
            raise ConfigurationError(
                f"a stack is up under {stack.home} already; end it with `botpulse down` before `up --foreground`"
            )
        _tell(info, time.monotonic() - before, as_json=as_json)
        if foreground:
            _watch(stack)


def down(home: Home = None, as_json: Json = False) -> None:
    """Stop both servers; their data stays for the next `up`."""
    stack = LocalStack(home or default_home())
    with _progress() as progress:
        stopped = stack.down(progress)
    if as_json:
        typer.echo(json.dumps({"home": str(stack.home), "stopped": stopped}))
    else:
        typer.echo("Kafka and Postgres are stopped." if stopped else f"Nothing is running under {stack.home}.")


def env(home: Home = None) -> None:
    """Print KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL as KEY=value lines, quoted for a POSIX shell."""
    stack = LocalStack(home or default_home())
    info = stack.find()
    if info is None:
        raise ConfigurationError(f"no local stack is up under {stack.home}: run `botpulse up`, or set BOTPULSE_HOME")
    for name, value in info.environment().items():
        typer.echo(f"{name}={shlex.quote(value)}")


def _tell(info: StackInfo, seconds: float, *, as_json: bool) -> None:
    if as_json:
        content = {
            "started": info.started,
            "home": str(info.home),
            "data": str(info.data),
            "bootstrap_servers": info.bootstrap_servers,
            "database_url": info.database_url,
            "kafka": {"pid": info.kafka_pid, "log": str(info.kafka_log)},
            "postgres": {"pid": info.postgres_pid, "log": str(info.postgres_log)},
        }
        typer.echo(json.dumps(content))
        return
    what = f"are up (started in {seconds:.1f} s)" if info.started else "were up already"
    typer.echo(f"Kafka and Postgres {what} under {info.home}.")
    typer.echo(f"  Kafka     {info.bootstrap_servers}  (process {info.kafka_pid})")
    typer.echo(f"  Postgres  {info.database_url.rpartition('@')[2]}  (process {info.postgres_pid})")
    typer.echo("`botpulse env` prints their addresses for a shell, `botpulse down` stops them.")


def _watch(stack: LocalStack) -> None:
    """Wait for a signal or for a server's death, then stop both. Raises LocalStackError after a death."""
    dead = ""
    try:
        while stack.find() is not None:
            time.sleep(WATCH_SECONDS)
        now = stack.status()
        dead = " and ".join(one.name for one in (now.kafka, now.postgres) if not one.running)
    except _Signalled:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not cut the stopping off
        stopped = stack.down()
    if dead and stopped:  # else somebody's `down` ended both
        raise LocalStackError(f"{dead} ended by itself, so both are stopped now (logs: {stack.home / 'logs'})")
    typer.echo("Kafka and Postgres are stopped.")


class _Signalled(BaseException):
    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def _interruptible(message: str) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into an orderly end with the shell's usual exit status."""

    def interrupt(number: int, frame: types.FrameType | None) -> None:
        raise _Signalled(number)

    # SIGINT too where a shell's `&` had it ignored: who sends it means it. SIGHUP not under nohup, which is for that.
    wanted = [signal.SIGINT, signal.SIGTERM]
    wanted += [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    except _Signalled as signalled:
        typer.echo(f"botpulse: {message}", err=True)
        raise typer.Exit(128 + signalled.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Bars:
    """A line a step on the terminal, a bar where the total (bytes) is known."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._step = ""
        self._task: TaskID | None = None

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        if step != self._step or self._task is None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._step = step
            self._task = self._progress.add_task(step, total=total or None)
        self._progress.update(self._task, completed=done)


class _Downloaded(DownloadColumn):
    """Bytes, for the steps that count bytes."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total else Text()


@contextmanager
def _progress() -> Iterator[_Bars]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _Downloaded(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bars(progress)
