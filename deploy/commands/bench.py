"""`botpulse bench`: what the services do on this machine, beside what one would run instead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.bench import cases as planning
from deploy.bench import latency as latency_bench
from deploy.bench import projections as projections_bench
from deploy.bench import projections_report, streams_report
from deploy.bench import queries as queries_bench
from deploy.bench import recovery as recovery_bench
from deploy.bench import replay as replay_bench
from deploy.bench import streams as streams_bench
from deploy.bench.home import bench
from deploy.bench.tables import Table, machine, place_in, put_into
from deploy.console import Json, print_json
from deploy.settings import Settings
from schemas.errors import ConfigurationError

bench_app = typer.Typer(
    help="Measure the services on this machine, beside what one would run instead.", no_args_is_help=True
)

Markdown = Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")]
Into = Annotated[Path | None, typer.Option(help="Also put the tables into this document, between its marks.")]
Seed = Annotated[int, typer.Option(help="The same seed makes the same log.")]
Repeat = Annotated[int, typer.Option(min=1, max=100, help="Measure so often; the median counts.")]

_WIDTH = 140


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(bench_app, name="bench")


def _home(command: str, into: Path | None) -> Path:
    if into is not None:
        place_in(into, f"bench {command}")  # a wrong name is better known before the measurement
    return Settings.from_environment().home.expanduser().absolute() / "bench"


def _tell(
    command: str,
    tables: list[Table],
    content: dict[str, Any],
    on: str,
    *,
    as_json: bool,
    markdown: bool,
    into: Path | None,
) -> None:
    text = "\n\n".join([*(table.markdown() for table in tables), f"Measured on {on}"])
    if into is not None:
        put_into(into, f"bench {command}", text)
    if as_json:
        print_json({**content, "machine": on})
    elif markdown:
        typer.echo(text)
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_WIDTH)
        for table in tables:
            table.show(console)
        typer.echo(f"Measured on {on}")


@bench_app.command()
def streams(
    events: Annotated[int, typer.Option(min=100, max=100_000_000, help="Events on the log.")] = 1_000_000,
    users: Annotated[
        list[int] | None, typer.Option(min=1, help="May be repeated. Default: 10000, 100000, 1000000.")
    ] = None,
    workers: Annotated[
        list[int] | None, typer.Option(min=1, max=8, help="Processes; may be repeated. Default: 1 and 2.")
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help="full or none; may be repeated. Default: both.")] = None,
    known: Annotated[
        bool, typer.Option("--known", help="Every user has a past, whose state is there before: full state alone.")
    ] = False,
    with_stock_faust: Annotated[bool, typer.Option(help="Measure Faust as it comes too.")] = True,
    stock_events: Annotated[int, typer.Option(min=100, help="Events for Faust as it comes: it is slow.")] = 60_000,
    repeat: Repeat = 1,
    seed: Seed = 42,
    into: Into = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Events a second of the stream service, from its first event to its last, on a log that is full beforehand."""
    states: list[planning.State] = []
    for name in state or ["none", "full"]:
        if name not in ("none", "full"):
            raise ConfigurationError(f"--state is full or none, not {name!r}")
        states.append("full" if name == "full" else "none")
    counts = users or [10_000, 100_000, 1_000_000]
    if known:
        chosen = planning.plan_known(events=events, users=counts, workers=workers or [1])
    else:
        chosen = planning.plan(
            events=events,
            users=counts,
            workers=workers or [1, 2],
            states=states,
            stock_events=stock_events if with_stock_faust else None,
        )
    command = "streams --known" if known else "streams"
    on = machine()
    with bench(_home(command, into)) as running:
        results = streams_bench.measure(chosen, running, seed=seed, repeat=repeat)
    content = {"cases": streams_report.content(results)}
    _tell(command, [streams_report.table(results)], content, on, as_json=as_json, markdown=markdown, into=into)


@bench_app.command()
def recovery(
    users: Annotated[int, typer.Option(min=1, help="Whose state is lost and read back.")] = 1_000_000,
    restart_users: Annotated[
        int, typer.Option(min=0, help="Users at a kill -9 and restart; 0 leaves it out.")
    ] = 10_000,
    repeat: Repeat = 1,
    seed: Seed = 42,
    into: Into = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Seconds until a stream worker is at work again: without any local state, and after a kill -9."""
    on = machine()
    with bench(_home("recovery", into)) as running:
        results = recovery_bench.measure(running, users=users, restart_users=restart_users, seed=seed, repeat=repeat)
    content = {"recoveries": recovery_bench.content(results)}
    _tell("recovery", [recovery_bench.table(results)], content, on, as_json=as_json, markdown=markdown, into=into)


@bench_app.command()
def projections(
    events: Annotated[int, typer.Option(min=100, max=100_000_000, help="Events on the log.")] = 1_000_000,
    users: Annotated[int, typer.Option(min=1, help="Of how many users.")] = 100_000,
    row_events: Annotated[int, typer.Option(min=100, help="Events for the consumers of one row a statement.")] = 30_000,
    repeat: Repeat = 1,
    seed: Seed = 42,
    into: Into = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Events a second from a real Kafka into all tables, beside one row a statement and one COPY."""
    on = machine()
    with bench(_home("projections", into)) as running:
        results = projections_bench.measure(
            running, events=events, users=users, row_events=row_events, seed=seed, repeat=repeat
        )
    content = {"kinds": projections_report.content(results)}
    _tell(
        "projections", [projections_report.table(results)], content, on, as_json=as_json, markdown=markdown, into=into
    )


@bench_app.command()
def latency(
    rate: Annotated[float, typer.Option(min=1, max=100_000, help="Events a second.")] = 1_000,
    seconds: Annotated[int, typer.Option(min=1, max=36_000, help="How long, after a warm-up of 5 s.")] = 60,
    seed: Seed = 42,
    into: Into = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Milliseconds from a payment to its tier in Postgres, at a steady rate with both services at work."""
    on = machine()
    with bench(_home("latency", into)) as running:
        result = latency_bench.measure(running, rate=rate, seconds=seconds, seed=seed)
    content = latency_bench.content(result)
    _tell("latency", [latency_bench.table(result)], content, on, as_json=as_json, markdown=markdown, into=into)


@bench_app.command()
def replay(
    events: Annotated[int, typer.Option(min=100, max=100_000_000, help="Events on the log.")] = 1_000_000,
    users: Annotated[int, typer.Option(min=1, help="Of how many users.")] = 100_000,
    workers: Annotated[
        list[int] | None, typer.Option(min=1, max=8, help="Processes; may be repeated. Default: 1 and 2.")
    ] = None,
    repeat: Repeat = 1,
    seed: Seed = 42,
    into: Into = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Events a second of a rebuild beside the live worker's, and of verify; the swap under a reader; one user anew."""
    on = machine()
    with bench(_home("replay", into)) as running:
        results, others = replay_bench.measure(
            running, events=events, users=users, workers=workers or [1, 2], seed=seed, repeat=repeat
        )
    content = replay_bench.content(results, others)
    table = replay_bench.table(results, others)
    _tell("replay", [table], content, on, as_json=as_json, markdown=markdown, into=into)


@bench_app.command()
def queries(
    users: Annotated[int, typer.Option(min=100, max=100_000_000, help="Users in the tables.")] = 1_000_000,
    events: Annotated[int, typer.Option(min=100, max=1_000_000_000, help="Events behind them.")] = 10_000_000,
    repeat: Annotated[int, typer.Option(min=1, max=10_000, help="Ask each question so often.")] = 100,
    naive_repeat: Annotated[int, typer.Option(min=1, max=1_000, help="And so often to the naive schema.")] = 3,
    into: Into = None,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Milliseconds of each of the dashboards' questions, beside the same put to a table of events and one of users."""
    on = machine()
    with bench(_home("queries", into)) as running:
        results = queries_bench.measure(running, users=users, events=events, repeat=repeat, naive_repeat=naive_repeat)
    content = {"users": users, "events": events, "questions": queries_bench.content(results)}
    table = queries_bench.table(results, users=users, events=events)
    _tell("queries", [table], content, on, as_json=as_json, markdown=markdown, into=into)
