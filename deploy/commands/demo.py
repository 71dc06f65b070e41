"""`botpulse demo`: all of it once, with the dashboards at the end."""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.console import Json, interruptible, print_json, say, undisturbed
from deploy.demo.dashboards import show
from deploy.demo.kept import forget, remember, stop_kept
from deploy.demo.run import Demo, Result
from deploy.demo.services import ServiceDiedError
from deploy.settings import Settings
from deploy.simulate import parse_faults
from schemas.counting import counted
from schemas.errors import ConfigurationError

_SHOWN_DIFFERENCES = 20
_LEAST_WIDTH = 80


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)


def demo(
    users: Annotated[int, typer.Option(min=1, help="How many people use the bot.")] = 2_000,
    events: Annotated[int, typer.Option(min=1, help="Distinct valid events; faults add records.")] = 50_000,
    seed: Annotated[int, typer.Option(help="The same seed tells the same story.")] = 42,
    days: Annotated[int, typer.Option(min=1, max=4_000, help="Over how many days.")] = 60,
    faults: Annotated[str, typer.Option(help="none, demo, or rates as for `botpulse simulate`.")] = "demo",
    timeout: Annotated[float, typer.Option(min=1, help="How long the services may take, in seconds.")] = 300.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up, and say how to look at it.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Only stop what an earlier --keep has left up.")] = False,
    as_json: Json = False,
) -> None:
    """Start everything, simulate a bot, show its dashboards, and check every user against the simulator's books.

    Exit status 0 when all agree, 1 when anything differs or a service dies.
    """
    home = Settings.from_environment().home.expanduser().absolute() / "demo"
    with _alone(home), interruptible("interrupted: the demo is stopped") as interrupts:
        if stop:
            typer.echo("The demo is stopped." if stop_kept(home) else "No demo is up.")
            return
        stop_kept(home)
        run = Demo(home, users=users, events=events, seed=seed, days=days, faults=parse_faults(faults), tied=not keep)
        finished = False
        try:
            result = run.run(timeout, interrupts)
            finished = True
        except ServiceDiedError as error:
            for line in error.log_tail:
                say(f"  | {line}")
            raise
        finally:
            if not (keep and finished):
                with undisturbed():
                    run.stop()
        if keep:
            assert run.services is not None
            remember(home, run.services.pids)
        elif not result.agreement.differences:
            run.stack.wipe()
            forget(home)
        _tell(result, as_json=as_json)
        if keep and not as_json:
            _tell_kept(run)
        if result.agreement.differences:
            raise typer.Exit(1)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One demo at a time in a home: a second one would wipe the first one's."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home.parent / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {home.parent} can't be used ({error.strerror}): set BOTPULSE_HOME to another one"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigurationError(
            f"another demo is running in {home.parent}: wait for it, or set BOTPULSE_HOME to another folder"
        ) from None
    finally:
        os.close(descriptor)


def _tell(result: Result, *, as_json: bool) -> None:
    agreement = result.agreement
    if as_json:
        content = {
            "agree": not agreement.differences,
            "users": agreement.users,
            "days": agreement.days,
            "rows": agreement.rows,
            "differences": [difference._asdict() for difference in agreement.differences],
            "counts": result.counts,
            "dead_letters": result.letters,
            "dashboards": {
                name: [{column: _plain(value) for column, value in row.items()} for row in rows]
                for name, rows in result.dashboards.items()
            },
            "seconds": result.seconds,
        }
        print_json(content)
        return
    console = Console()
    if console.width < _LEAST_WIDTH and not console.is_terminal:
        console = Console(width=_LEAST_WIDTH)
    show(console, result.dashboards, result.letters)
    counts = result.counts
    typer.echo(
        f"{counted(counts['records'], 'record')}: {counted(counts['events'] - counts['copies'], 'event')}, "
        f"{counts['duplicates'] + counts['copies']:,} duplicates, {counts['conflicts']:,} conflicts, "
        f"{counts['refused']:,} refused"
    )
    rows = ", ".join(f"{table} ({number:,})" for table, number in agreement.rows.items())
    if not agreement.differences:
        typer.echo(
            f"{agreement.users} users agree: spend, purchases, messages, credits and tier, in the tables and in\n"
            f"the streams' aggregates; so do {agreement.days} days of daily_metrics and every dead letter,\n"
            f"and all rows of {rows}."
        )
        return
    for place, subject, figure, expected, found in agreement.differences[:_SHOWN_DIFFERENCES]:
        typer.echo(f"DIFFERENT {place}, {subject}: {figure} is {found}, the books say {expected}")
    typer.echo(f"{len(agreement.differences)} figures differ from the simulator's books")


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | str) else str(value)


def _tell_kept(run: Demo) -> None:
    assert run.info is not None
    assert run.services is not None
    processes = ", ".join(f"{name} {pid}" for name, pid in run.services.pids.items())
    typer.echo(f"\nEverything is still up ({processes}; logs in {run.home}). To look at it:")
    typer.echo(f"  export BOTPULSE_HOME={shlex.quote(str(run.home))}")
    typer.echo('  set -a; eval "$(botpulse env)"; set +a')
    typer.echo('  psql "$DATABASE_URL" -c "SELECT * FROM botpulse.user_dashboard LIMIT 10"')
    typer.echo("To stop it: botpulse demo --stop (with BOTPULSE_HOME as it was before)")
