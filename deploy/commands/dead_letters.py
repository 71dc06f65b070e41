"""`botpulse dead-letters`: what was refused, why, and what to do about it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from deploy.console import Bar, Json, bar, print_json
from deploy.database import database
from deploy.letters.letter import Letter, State
from deploy.letters.reading import Selection, opened, read_letters, record_at
from deploy.letters.redrive import Judged, Sent, judge, redrive
from deploy.letters.showing import moment, neighbour, readable, readable_headers
from deploy.settings import Settings
from deploy.times import moment_of
from projections.checkpoints import Place
from projections.refusals import accept as accept_refusal
from schemas.codec import Decoder
from schemas.counting import counted
from schemas.errors import ConfigurationError
from schemas.reasons import Reason
from schemas.redrive import Original
from schemas.topics import Topics

_WIDTH = 150
_NEIGHBOURS = 2

_app = typer.Typer(help="Input that was refused, and what to do about it.", no_args_is_help=True)

OnlyReason = Annotated[str | None, typer.Option("--reason", help=f"Only of this reason: {', '.join(Reason)}.")]
OnlyStage = Annotated[str | None, typer.Option("--stage", help="Only of this stage: streams or projections.")]
OnlyTopic = Annotated[str | None, typer.Option("--topic", help="Only records of this topic.")]
OnlyUser = Annotated[int | None, typer.Option("--user", metavar="TELEGRAM_ID", help="Only records of this key.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only letters from this broker time on.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(_app, name="dead-letters")


@_app.command(name="list")
def list_letters(
    reason: OnlyReason = None,
    stage: OnlyStage = None,
    topic: OnlyTopic = None,
    user: OnlyUser = None,
    since: Since = None,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    as_json: Json = False,
) -> None:
    """List refused records with what became of them: open, redriven, refused again, accepted."""
    selection = _selection(reason, stage, topic, user, since, state)
    settings = Settings.from_environment()
    with bar("looking for copies") as shown:
        found = asyncio.run(_read(settings, shown))
    _check_topic(topic, settings.topics, found)
    letters = [letter for letter in found if selection.takes(letter)]
    if as_json:
        print_json([_content(letter) for letter in letters])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("record", "stage", "user", "written", "state", "reason", "detail"):
        table.add_column(heading, overflow="fold")
    for letter in letters:
        user_shown = "" if letter.user is None else str(letter.user)
        written = moment(letter.written_ms)[:19].replace("T", " ")
        table.add_row(
            str(letter.place), letter.stage, user_shown, written, letter.state.value, letter.reason, letter.detail
        )
    _print(table)
    states = ", ".join(
        f"{count:,} {name.value}" for name in State if (count := sum(letter.state is name for letter in letters))
    )
    typer.echo(f"{counted(len(letters), 'letter')}{f': {states}' if states else ''}")


@_app.command()
def show(
    record: Annotated[str, typer.Argument(help="The refused record: topic/partition/offset.")],
    show_personal: Annotated[bool, typer.Option(help="Show what may be personal data too.")] = False,
    as_json: Json = False,
) -> None:
    """Show one refused record: why, its bytes in a readable form, and what is next to it on the log."""
    place, offset = _parse(record)
    original = Original(place.topic, place.partition, offset)
    with bar("looking for copies") as shown:
        content = asyncio.run(_show(Settings.from_environment(), original, shown, show_personal=show_personal))
    if as_json:
        print_json(content)
        return
    for letter in content["letters"]:
        typer.echo(f"{letter['record']}, refused by {letter['stage']}: {letter['reason']}: {letter['detail']}")
        typer.echo(f"  {letter['state']}; letter written {letter['written']}")
        for copy in letter["copies"]:
            typer.echo(f"  copy: {copy}")
    typer.echo(f"key      {content['key']}")
    for name, value in content["headers"]:
        typer.echo(f"header   {name}: {value}")
    value = content["value"]
    shown_value = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    typer.echo(f"value    {shown_value}")
    for near in content["neighbours"]:
        mark = "same key" if near["same_key"] else "another key"
        typer.echo(f"offset {near['offset']:>8}  {near['broker_time']}  {mark:<11}  {near['what']}")


@_app.command(name="redrive")
def redrive_letters(
    records: Annotated[
        list[str] | None, typer.Argument(help="Refused records: topic/partition/offset. None: all that are selected.")
    ] = None,
    reason: OnlyReason = None,
    stage: OnlyStage = None,
    topic: OnlyTopic = None,
    user: OnlyUser = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would pass now.")] = False,
    as_json: Json = False,
) -> None:
    """Put refused records that would pass today's code back onto the log, in each user's order.

    The copy has the original's key and bytes, and names it in the header redrive-of: its event counts once, also
    where a later rebuild accepts the original itself. What was redriven before is passed over, so that repeating this
    is harmless. Exit status 1 when a selected open record would not pass.
    """
    places = frozenset(Original(*place, offset) for place, offset in map(_parse, records or ()))
    selection = _selection(reason, stage, topic, user, since, None, places)
    with bar("looking for copies") as shown:
        judged, sent = asyncio.run(_redrive(Settings.from_environment(), selection, shown, dry_run=dry_run))
    missing = places - {item.letter.place for item in judged}
    if missing:
        raise ConfigurationError(f"{', '.join(map(str, sorted(missing)))}: no letter of the selection is about it")
    stuck = [item for item in judged if item.candidate is None and item.letter.state is State.OPEN]
    if as_json:
        print_json(_redrive_content(judged, sent, dry_run=dry_run))
    else:
        _tell_redriven(judged, sent, dry_run=dry_run)
    if stuck:
        raise typer.Exit(1)


@_app.command()
def accept(
    record: Annotated[str, typer.Argument(help="The refused record: topic/partition/offset.")],
    note: Annotated[str, typer.Option(help="Why it may stay out of the tables. Kept for ever.")],
    by: Annotated[str, typer.Option(help="Who decides. Default: the user of this login.", show_default=False)] = "",
    as_json: Json = False,
) -> None:
    """Decide that an event whose rows the database refused stays out of the tables, for ever.

    The projections are ready again when every such event is accepted, or was redriven.
    """
    place, offset = _parse(record)
    if not note.strip():
        raise ConfigurationError("--note: say why the event may stay out of the tables")
    person = by.strip() or getpass.getuser()
    settings = Settings.from_environment()
    decided_at = asyncio.run(_accept(settings.database_url(), place, offset, person, note.strip()))
    if as_json:
        content = {"topic": place.topic, "partition": place.partition, "offset": offset, "state": "accepted"}
        print_json({**content, "decided_by": person, "decided_at": decided_at, "note": note.strip()})
    else:
        typer.echo(f"{record} stays out of the tables, decided by {person}")


def _parse(record: str) -> tuple[Place, int]:
    topic, _, rest = record.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise ConfigurationError(f"{record!r} names no record; it is topic/partition/offset, as in bot.events/3/1042")
    return Place(topic, int(partition)), int(offset)


def _selection(
    reason: str | None,
    stage: str | None,
    topic: str | None,
    user: int | None,
    since: str | None,
    state: State | None,
    places: frozenset[Original] = frozenset(),
) -> Selection:
    if reason is not None and reason not in set(Reason):
        raise ConfigurationError(f"--reason {reason}: the reasons are {', '.join(Reason)}")
    if stage not in (None, "streams", "projections"):
        raise ConfigurationError(f"--stage {stage}: the stages are streams and projections")
    since_ms = None if since is None else int(moment_of("--since", since).timestamp() * 1000)
    return Selection(reason, stage, topic, user, since_ms, state, places)


def _check_topic(name: str | None, topics: Topics, letters: Sequence[Letter]) -> None:
    """Refuse a topic that is none; letters may be about topics from before the log has grown."""
    names = {topics.events.name, topics.tier_changes.name, *(letter.place.topic for letter in letters)}
    if name is not None and name not in names:
        raise ConfigurationError(f"--topic {name}: the topics are {', '.join(sorted(names))}")


async def _read(settings: Settings, shown: Bar) -> list[Letter]:
    async with database(settings.database_url()) as connection, opened(settings.bootstrap_servers()) as source:
        return await read_letters(source, settings.topics, connection, shown.move)


async def _show(settings: Settings, original: Original, shown: Bar, *, show_personal: bool) -> dict[str, Any]:
    async with database(settings.database_url()) as connection, opened(settings.bootstrap_servers()) as source:
        found = await read_letters(source, settings.topics, connection, shown.move)
        letters = [letter for letter in found if letter.place == original]
        if not letters:
            raise ConfigurationError(f"no letter is about {original}; see `botpulse dead-letters list`")
        near = await record_at(source, original, _NEIGHBOURS, _NEIGHBOURS)
        decoder = Decoder(len(await source.bounds(original.topic)))
    record: Any = next((record for record in near if record.offset == original.offset), letters[0])
    key = record.key
    return {
        "letters": [_content(letter) for letter in letters],
        "key": None if key is None else key.decode(errors="backslashreplace"),
        "headers": readable_headers(record.headers),
        "value": readable(record.value, show_personal=show_personal),
        "neighbours": [neighbour(one, decoder, key) for one in near if one.offset != original.offset],
    }


async def _redrive(
    settings: Settings, selection: Selection, shown: Bar, *, dry_run: bool
) -> tuple[list[Judged], list[Sent]]:
    async with database(settings.database_url()) as connection, opened(settings.bootstrap_servers()) as source:
        found = await read_letters(source, settings.topics, connection, shown.move)
        _check_topic(selection.topic, settings.topics, found)
        judged = await judge(source, settings.topics, [letter for letter in found if selection.takes(letter)])
    candidates = [item.candidate for item in judged if item.candidate is not None]
    if dry_run or not candidates:
        return judged, []
    return judged, await redrive(settings.bootstrap_servers(), candidates)


async def _accept(database_url: str, place: Place, offset: int, by: str, note: str) -> datetime:
    async with database(database_url) as connection:
        return await accept_refusal(connection, place, offset, by=by, note=note)


def _content(letter: Letter) -> dict[str, Any]:
    return {
        "record": str(letter.place),
        "stage": letter.stage,
        "reason": letter.reason,
        "detail": letter.detail,
        "user": letter.user,
        "written": moment(letter.written_ms),
        "state": letter.state.value,
        "copies": [str(copy) for copy in letter.copies],
    }


def _redrive_content(judged: Sequence[Judged], sent: Sequence[Sent], *, dry_run: bool) -> dict[str, Any]:
    copies = {item.letter.identity: str(item.copy) for item in sent}
    return {
        "dry_run": dry_run,
        "redriven": len(sent),
        "letters": [
            {
                **_content(item.letter),
                "passes": item.candidate is not None,
                "why_not": item.why_not or None,
                "copy": copies.get(item.letter.identity),
            }
            for item in judged
        ],
    }


def _tell_redriven(judged: Sequence[Judged], sent: Sequence[Sent], *, dry_run: bool) -> None:
    copies = {item.letter.identity: item.copy for item in sent}
    table = Table(box=None, pad_edge=False)
    for heading in ("record", "stage", "user", "outcome"):
        table.add_column(heading, overflow="fold")
    for item in judged:
        outcome = f"not redriven: {item.why_not}"
        if item.candidate is not None:
            outcome = "would pass" if dry_run else f"redriven as {copies[item.letter.identity]}"
        user = "" if item.letter.user is None else str(item.letter.user)
        table.add_row(str(item.letter.place), item.letter.stage, user, outcome)
    _print(table)
    passing = sum(item.candidate is not None for item in judged)
    verb = "would pass" if dry_run else "redriven"
    typer.echo(f"{passing:,} of {counted(len(judged), 'letter')} {verb}")


def _print(table: Table) -> None:
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(table)
