"""`botpulse explain`: why a user has the tier, spend or credits that they have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from deploy.console import Json, bar, print_json
from deploy.settings import Settings
from deploy.times import moment_of
from projections.sources.broker import BrokerAddress
from projections.verify.explain import Explanation, Question, Step, explain
from projections.verify.history import Verdict, broker_time
from projections.verify.rows import kind_of
from schemas.counting import counted
from schemas.errors import BotpulseError, ConfigurationError
from schemas.records import REDRIVE_HEADER

_WIDTH: Final = 150
_NAMES: Final = ("charge_id", "refund_id", "dispute_id", "reason")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(name="explain")(command)


def command(
    telegram_id: Annotated[int, typer.Argument(min=1, metavar="TELEGRAM_ID", help="The user.")],
    tier: Annotated[bool, typer.Option("--tier", help="What moved the tier (the default).")] = False,
    spend: Annotated[bool, typer.Option("--spend", help="What the spend is made of.")] = False,
    credit: Annotated[bool, typer.Option("--credits", help="What the credits are made of.")] = False,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As the log knew it then, by the broker's clock: 2026-01-02T03:04Z."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the events behind a user's number in the order of the log, what each contributed, and the total after it.

    Events that count nothing (repeated, in conflict, refused), or less than their amount, are listed with the reason.
    Exit status 1 when the sum is not the stored number, or the log has no event of the user.
    """
    if tier + spend + credit > 1:
        raise ConfigurationError("--tier, --spend and --credits are one question each: ask one of them")
    question: Question = "spend" if spend else "credits" if credit else "tier"
    moment = None if as_of is None else moment_of("--as-of", as_of)
    settings = Settings.from_environment()
    database_url, log = settings.database_url(), BrokerAddress(settings.bootstrap_servers())
    with bar("reading") as shown:
        explanation = asyncio.run(
            explain(database_url, log, settings.topics, telegram_id, question, as_of=moment, progress=shown.move)
        )
    agrees = explanation.stored in (None, explanation.totals)
    if as_json:
        print_json(_content(telegram_id, question, moment, explanation, agrees=agrees))
    else:
        _tell(telegram_id, question, moment, explanation)
    if not agrees:
        raise BotpulseError(
            f"the tables say {_numbers(explanation.stored)}; `botpulse verify --user {telegram_id}` names what differs"
        )
    if not explanation.steps and explanation.stored is None:
        raise typer.Exit(1)


def _change(step: Step, question: Question) -> tuple[int, int]:
    """What the step contributed, and the total after it."""
    if question == "credits":
        return step.after.credits - step.before.credits, step.after.credits
    return step.after.spent_cents - step.before.spent_cents, step.after.spent_cents


def _note(step: Step) -> str:
    entry = step.entry
    notes = [] if entry.verdict is Verdict.COUNTED else [f"{entry.verdict.value}: {entry.why_not}"]
    notes += filter(None, [step.note])
    notes += [
        f"a copy of {(value or b'').decode(errors='replace')}"
        for name, value in entry.record.headers
        if name == REDRIVE_HEADER
    ]
    if step.moved_tier:
        notes.append(f"{step.before.tier} -> {step.after.tier}")
    return "; ".join(notes)


def _content(
    telegram_id: int, question: Question, moment: datetime | None, explanation: Explanation, *, agrees: bool
) -> dict[str, Any]:
    return {
        "telegram_id": telegram_id,
        "question": question,
        "as_of": moment and moment.isoformat(),
        "rules_version": explanation.rules_version,
        "totals": explanation.totals._asdict(),
        "stored": explanation.stored and explanation.stored._asdict(),
        "agree": agrees,
        "steps": [_step(step) for step in explanation.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    record, event = step.entry.record, step.entry.event
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "broker_time": broker_time(record.timestamp).isoformat(),
        "type": event and event["type"],
        "source": event and event["source"],
        "id": event and event["id"],
        "time": event and event["time"].isoformat(),
        "verdict": step.entry.verdict.value,
        "why_not": step.entry.why_not or None,
        "note": step.note or None,
        "purchases": step.after.purchases - step.before.purchases,
        "cents": step.after.spent_cents - step.before.spent_cents,
        "credits": step.after.credits - step.before.credits,
        "after": step.after._asdict(),
        "moved_tier": step.moved_tier,
    }


def _tell(telegram_id: int, question: Question, moment: datetime | None, explanation: Explanation) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("place")
    table.add_column("time of the event")
    table.add_column("event")
    table.add_column("about", overflow="fold")
    table.add_column("credits" if question == "credits" else "cents", justify="right")
    table.add_column("total", justify="right")
    if question != "credits":
        table.add_column("purchases", justify="right")
    table.add_column("", overflow="fold")
    for step in explanation.steps:
        record, event = step.entry.record, step.entry.event
        change, total = _change(step, question)
        row = [
            f"{record.partition}/{record.offset}",
            "" if event is None else f"{event['time']:%Y-%m-%d %H:%M:%S}",
            "?" if event is None else kind_of(event),
            "" if event is None else _about(event.get("data") or {}),
            f"{change:+,}" if change else "",
            f"{total:,}",
        ]
        if question != "credits":
            row.append(str(step.after.purchases))
        table.add_row(*row, _note(step))
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(table)
    when = "" if moment is None else f" as the log knew it at {moment:%Y-%m-%d %H:%M:%S%z}"
    typer.echo(
        f"user {telegram_id}{when}: {_numbers(explanation.totals)} "
        f"(version {explanation.rules_version} of the tier rules)"
    )
    if explanation.stored == explanation.totals:
        typer.echo("the tables say the same")


def _about(data: Mapping[str, Any]) -> str:
    return " ".join(str(value) for name in _NAMES if (value := data.get(name)) is not None)


def _numbers(totals: Any) -> str:
    dollars = f"{totals.spent_cents // 100:,}.{totals.spent_cents % 100:02}"
    return f"{totals.tier}, {counted(totals.purchases, 'purchase')}, {dollars} USD, {counted(totals.credits, 'credit')}"
