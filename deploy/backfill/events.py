"""A row to an event: pure, by the mapping; what the contract refuses is refused here, with the member's name."""

from __future__ import annotations

from collections.abc import Mapping as Row
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from deploy.backfill.mapping import Facts, Mapping, Member
from deploy.contract.json_schemas import json_schema
from schemas.codec import encode
from schemas.envelope import Envelope
from schemas.errors import InvalidEvent
from schemas.events import EVENT_TYPES
from schemas.fields import CONTENT_PREFIX
from schemas.refusals import refusal

_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")


class RefusedRow(Exception):  # noqa: N818
    """A row that is no event; the text says which member, never what stands in it."""


def event_of(row: Row[str, Any], facts: Facts, mapping: Mapping) -> tuple[Envelope, bytes] | None:
    """Return the row's event and its bytes; None for a row that `where` leaves out. Raises RefusedRow."""
    for column, wanted in facts.where.items():
        if str(_column(row, column)) not in wanted:
            return None
    subject = _column(row, facts.subject)
    if facts.event.startswith(("content.published", "content.changed")):
        subject = f"{CONTENT_PREFIX}{subject}"
    try:
        event = EVENT_TYPES[facts.event_type](
            id=facts.id_template.format_map(_Columns(row)),
            source=mapping.source,
            subject=str(subject),
            time=_moment(_column(row, facts.time), mapping, "time"),
            datacontenttype="application/json",
            data=_data(row, facts, mapping),
        )
        return event, encode(event)
    except ValidationError as error:
        raise RefusedRow(refusal(error, b"").detail) from None
    except InvalidEvent as error:
        raise RefusedRow(error.detail) from None


class _Columns(dict[str, Any]):
    """The row for templates: a column without a value, or one that is not there, refuses the row."""

    def __init__(self, row: Row[str, Any]) -> None:
        super().__init__()
        self._row = row

    def __missing__(self, name: str) -> Any:
        value = _column(self._row, name)
        if value is None:
            raise RefusedRow(f"id: the column {name} is empty")
        return value


def _column(row: Row[str, Any], name: str) -> Any:
    try:
        value = row[name]
    except KeyError:
        raise RefusedRow(f"there is no column {name}") from None
    return None if value == "" else value


def _data(row: Row[str, Any], facts: Facts, mapping: Mapping) -> dict[str, Any] | None:
    data: dict[str, Any] = {}
    for path, member in facts.data.items():
        value = _value(row, path, member, facts, mapping)
        if value is None:
            continue
        place = data
        *outer, name = path.split(".")
        for part in outer:
            place = place.setdefault(part, {})
        place[name] = value
    bare = not facts.data and facts.event_type.startswith(("botpulse.user.bot_",))
    return None if bare else data


def _value(row: Row[str, Any], path: str, member: Member, facts: Facts, mapping: Mapping) -> Any:
    if member.column is None:
        return member.value
    found = _column(row, member.column)
    if found is None:
        return None
    if member.values is not None:
        found = member.values.get(str(found), member.otherwise)
        if found is None:
            raise RefusedRow(f"data.{path}: `values` does not have what stands in the column {member.column}")
    if member.dollars:
        return _cents(found, path)
    return _typed(found, _type_of(facts.event_type, path), path, mapping)


def _cents(found: Any, path: str) -> int:
    if isinstance(found, float):
        raise RefusedRow(f"data.{path}: a floating-point column is no money: cast it to numeric in a query")
    try:
        cents = Decimal(str(found)) * 100
    except InvalidOperation:
        raise RefusedRow(f"data.{path}: not a number of dollars") from None
    if cents != cents.to_integral_value():
        raise RefusedRow(f"data.{path}: a fraction of a cent")
    return int(cents)


def _typed(found: Any, kind: str, path: str, mapping: Mapping) -> Any:
    """Return a column's value as the type that the contract wants; what can't be that, the contract refuses."""
    if kind == "date-time":
        return _moment(found, mapping, f"data.{path}")
    if kind == "integer":
        if isinstance(found, Decimal) and found == found.to_integral_value():
            return int(found)
        if isinstance(found, str) and found.strip().removeprefix("-").isdecimal():
            return int(found)
    if kind == "boolean" and isinstance(found, str | int):
        text = str(found).strip().lower()
        return True if text in _TRUE else False if text in _FALSE else found
    if kind == "string":
        return str(found)
    return found


@lru_cache
def _type_of(event_type: str, path: str) -> str:
    """Return the JSON type of a member of data, as the schema has it; a moment is `date-time`."""
    root = json_schema(event_type)
    schema: Any = root["properties"]["data"]
    for name in (*path.split("."), None):
        while True:
            if "$ref" in schema:
                schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
            elif "anyOf" in schema:
                schema = next(part for part in schema["anyOf"] if part.get("type") != "null")
            else:
                break
        if name is not None:
            schema = schema.get("properties", {}).get(name, {})
    return "date-time" if schema.get("format") == "date-time" else str(schema.get("type", "any"))


def _moment(found: Any, mapping: Mapping, member: str) -> datetime:
    if isinstance(found, int) and not isinstance(found, bool):
        return datetime.fromtimestamp(found, UTC)
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found.strip())
        except ValueError:
            raise RefusedRow(f"{member}: not a time") from None
    if not isinstance(found, datetime):
        raise RefusedRow(f"{member}: not a time")
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(mapping.time_zone))
