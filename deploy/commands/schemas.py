"""`botpulse schemas`: the contract as JSON Schemas and AsyncAPI, and the guard against breaking it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.console import Json, print_json
from deploy.contract.published import FOLDER, compare
from deploy.contract.published import export as write

_app = typer.Typer(
    help="The contract for other languages: export it, check that it breaks nothing.", no_args_is_help=True
)
_Folder = Annotated[Path, typer.Option("--folder", help="Where the exported files are.", file_okay=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="schemas")


@_app.command()
def export(folder: _Folder = FOLDER, as_json: Json = False) -> None:
    """Write a JSON Schema for every event version and the AsyncAPI document.

    Exit status 1, and nothing is written, when a version would become narrower than the files say.
    """
    comparison = compare(folder)
    written = [] if comparison.breaking else write(folder)
    if as_json:
        print_json({"breaking": comparison.breaking, "written": written})
    else:
        _say_breaking(comparison.breaking)
        for name in written:
            typer.echo(f"{folder / name} written")
        if not written and not comparison.breaking:
            typer.echo("nothing has changed")
    if comparison.breaking:
        raise typer.Exit(1)


@_app.command()
def check(folder: _Folder = FOLDER, as_json: Json = False) -> None:
    """Compare the event classes with the exported files.

    Exit status 1 when a version has become narrower, naming the member, or when the files are not those of the classes.
    """
    comparison = compare(folder)
    if as_json:
        print_json({"breaking": comparison.breaking, "stale": comparison.stale})
    else:
        _say_breaking(comparison.breaking)
        if comparison.stale:
            typer.echo(f"not as the classes are: {', '.join(comparison.stale)}; run `botpulse schemas export`")
        if not comparison.breaking and not comparison.stale:
            typer.echo("the exported schemas are those of the classes")
    if comparison.breaking or comparison.stale:
        raise typer.Exit(1)


def _say_breaking(findings: list[str]) -> None:
    for finding in findings:
        typer.echo(f"breaking: {finding}")
    if findings:
        typer.echo("what was valid must stay valid: make a new version with an upcaster (docs/evolution.md)")
