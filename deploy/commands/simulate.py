"""`botpulse simulate`: a believable bot on the log, and the books of what it must add up to."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from deploy.console import Json, bar, print_json, say
from deploy.settings import Settings
from deploy.simulate import Books, Plan, parse_faults
from deploy.simulate.run import Summary, publish, write
from deploy.times import moment_of
from schemas.counting import counted
from schemas.errors import ConfigurationError

_FIRST_YEAR = datetime(2013, 1, 1, tzinfo=UTC)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(simulate)


def simulate(
    users: Annotated[int, typer.Option(min=1, max=50_000_000, help="How many people use the bot.")] = 2_000,
    events: Annotated[int, typer.Option(min=1, help="Distinct valid events; faults add records.")] = 50_000,
    seed: Annotated[int, typer.Option(help="The same seed tells the same story.")] = 42,
    days: Annotated[int, typer.Option(min=1, max=4_000, help="Over how many days.")] = 60,
    rate: Annotated[float | None, typer.Option(min=0.01, help="At most so many records a second.")] = None,
    faults: Annotated[
        str, typer.Option(help="none, demo, or rates as duplicates=0.01,late=0.02 (an unknown name lists them all).")
    ] = "none",
    expect: Annotated[Path | None, typer.Option(help="Write the books here: what all of it adds up to.")] = None,
    out: Annotated[str | None, typer.Option(help="Write events to a file or - instead of publishing them.")] = None,
    end: Annotated[
        str | None, typer.Option(help="When the story ends, as 2026-01-31T12:00:00Z. Default: the last full hour.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish the events of an invented bot. The same arguments and the same end give the same bytes."""
    plan = Plan(users, events, seed, _end(end, days), days, parse_faults(faults))
    books = Books() if expect is not None else None
    if expect is not None:
        _writable(expect)
    if out is None:
        settings = Settings.from_environment()
        with bar("publishing", events) as shown:
            work = publish(
                plan, settings.bootstrap_servers(), settings.topics.events, rate=rate, books=books, progress=shown.move
            )
            summary = asyncio.run(work)
    else:
        summary = _to_file(plan, out, books)
    if expect is not None and books is not None:
        expect.write_bytes(books.write(simulated=about(plan)))
    _tell(plan, summary, expect, as_json=as_json, quiet=out == "-")


def _to_file(plan: Plan, out: str, books: Books | None) -> Summary:
    with bar("writing", plan.events) as shown:
        if out == "-":
            summary = write(plan, sys.stdout.buffer, books=books, progress=shown.move)
            sys.stdout.buffer.flush()
            return summary
        _writable(Path(out))
        with Path(out).open("wb") as file:
            return write(plan, file, books=books, progress=shown.move)


def _end(text: str | None, days: int) -> datetime:
    now = datetime.now(UTC)
    if text is None:
        return now.replace(minute=0, second=0, microsecond=0)
    end = moment_of("--end", text)
    if end > now + timedelta(hours=23):
        raise ConfigurationError("--end: the log takes no event that is more than 24 h ahead of the broker's clock")
    if end - timedelta(days=days) < _FIRST_YEAR:
        raise ConfigurationError("--end, --days: no event is older than 2013")
    return end


def _writable(path: Path) -> None:
    try:
        path.open("ab").close()
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from None


def about(plan: Plan) -> dict[str, object]:
    """The arguments of a run, for its books."""
    return {
        "users": plan.users,
        "events": plan.events,
        "seed": plan.seed,
        "days": plan.days,
        "end": plan.end.isoformat(),
        "faults": {name: rate for name, rate in vars(plan.faults).items() if rate},
    }


def _tell(plan: Plan, summary: Summary, expect: Path | None, *, as_json: bool, quiet: bool) -> None:
    speed = round(summary.records / summary.seconds) if summary.seconds else 0
    if as_json and not quiet:
        content = {
            **about(plan),
            "records": summary.records,
            "refused_by_contract": summary.refused,
            "left_out": summary.left_out,
            "seconds": round(summary.seconds, 3),
            "records_per_second": speed,
            "expect": str(expect) if expect is not None else None,
        }
        print_json(content)
        return
    if summary.left_out:
        say(f"left out: {counted(summary.left_out, 'record')} that the contract refuses and no line can hold")
    line = f"{counted(summary.records, 'record')} in {summary.seconds:.1f} s ({speed:,} a second)"
    if summary.refused:
        line += f", {summary.refused:,} of them must become dead letters"
    if expect is not None:
        line += f"; the books are in {expect}"
    (say if quiet else typer.echo)(line)
