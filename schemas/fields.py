"""The member types that the events are made of: strict, bounded, checked in native code where possible.

Strictness sits in these types, not in a model setting, so that an event built in Python takes its `data` as a
plain dictionary too, while numbers, strings and booleans stay exactly what they are on the wire.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

TELEGRAM_ID_MAX: Final = 2**52
"""Telegram's own promise: an id has at most 52 significant bits."""

CONTENT_PREFIX: Final = "content:"
"""The subject of a content item is this prefix and its content_id."""

_ID_LENGTH: Final = 512
"""Most characters of an id."""
LONGEST_SUBJECT_BYTES: Final = len(CONTENT_PREFIX) + 4 * _ID_LENGTH
"""No subject, and so no valid key, has more: a content item's, of characters that take four bytes each."""


def digits_up_to(maximum: int) -> str:
    """Return a regular expression of the decimal numbers from 1 to `maximum`, without leading zeros.

    The bound is part of the pattern, so that checking a subject never leaves the validator's native code.
    """
    digits = str(maximum)
    shorter = f"[1-9][0-9]{{0,{len(digits) - 2}}}"
    branches = [shorter]
    for position, digit in enumerate(digits):
        lowest = 1 if position == 0 else 0
        if int(digit) > lowest:
            rest = len(digits) - position - 1
            branches.append(f"{digits[:position]}[{lowest}-{int(digit) - 1}][0-9]{{{rest}}}")
    branches.append(digits)
    return "^(?:" + "|".join(branches) + ")$"


_DATE = "(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z"
TIME_PATTERN: Final = f"^[0-9]{{4}}-{_DATE}T{_CLOCK}$"
EVENT_TIME_PATTERN: Final = f"^(?:201[3-9]|20[2-9][0-9]|2[1-9][0-9]{{2}}|[3-9][0-9]{{3}})-{_DATE}T{_CLOCK}$"
"""The wire form, not before 2013 (the year that Telegram began in)."""
EARLIEST: Final = datetime(2013, 1, 1, tzinfo=UTC)


def wire_time(moment: datetime) -> str:
    """Return the wire form of an aware time: three fraction digits where they keep the value, else six."""
    digits = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=digits) + "Z"


class WireTimeType:
    """A moment: `YYYY-MM-DDTHH:MM:SS[.f]Z`, up to six fraction digits, on the wire; a UTC datetime in Python.

    Building an event in Python takes an aware datetime of any zone, or the wire form; a naive one is refused.
    """

    def __init__(self, pattern: str, earliest: datetime) -> None:
        self._pattern = pattern
        self._earliest = earliest

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def to_utc(moment: datetime) -> datetime:
            try:
                moment = moment.astimezone(UTC)
            except OverflowError:
                raise ValueError("beyond the years 1 to 9999") from None
            if moment < self._earliest:
                raise ValueError("too early")
            return moment

        wire = core_schema.no_info_after_validator_function(
            datetime.fromisoformat, core_schema.str_schema(pattern=self._pattern, strict=True)
        )
        aware = core_schema.no_info_after_validator_function(
            to_utc, core_schema.datetime_schema(strict=True, tz_constraint="aware")
        )
        return core_schema.json_or_python_schema(
            json_schema=wire,
            python_schema=core_schema.union_schema([aware, wire], mode="left_to_right"),
            serialization=core_schema.plain_serializer_function_ser_schema(
                wire_time, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "date-time", "pattern": self._pattern}


EventTime = Annotated[datetime, WireTimeType(EVENT_TIME_PATTERN, EARLIEST)]
"""An event's own time, not before 2013."""
WireTime = Annotated[datetime, WireTimeType(TIME_PATTERN, datetime.min.replace(tzinfo=UTC))]
"""Any other moment."""

Id = Annotated[str, Field(strict=True, min_length=1, max_length=_ID_LENGTH)]
"""A name that a fact is known by."""
Text = Annotated[str, Field(strict=True, max_length=512)]
Username = Annotated[str, Field(strict=True, max_length=64)]
Title = Annotated[str, Field(strict=True, max_length=256)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0)]
"""A number of things, credits, characters or cents: 0 or more."""
Positive = Annotated[int, Field(strict=True, gt=0)]
TelegramId = Annotated[int, Field(strict=True, ge=1, le=TELEGRAM_ID_MAX)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]


def _as_dict(sent: Any) -> Any:
    return sent


# Passing through Python makes a dictionary of the object, in which the last of equal keys has won: else a
# value that lost would be checked too.
LastWins = BeforeValidator(_as_dict)
Details = Annotated[dict[Text, Flag | Whole | Finite | Text], LastWins]
"""A flat object of strings, finite numbers and booleans."""
Benefits = Annotated[dict[Id, Count], LastWins]
"""Named whole numbers."""

UserSubject = Annotated[str, Field(strict=True, pattern=digits_up_to(TELEGRAM_ID_MAX))]
"""A telegram_id, 1 to 2^52, as decimal digits."""
ContentSubject = Annotated[
    str, Field(strict=True, min_length=len(CONTENT_PREFIX) + 1, max_length=len(CONTENT_PREFIX) + _ID_LENGTH)
]
JsonMediaType = Annotated[
    str,
    Field(
        strict=True,
        max_length=512,
        # In the syntax that JSON Schema shares with us: no inline flags.
        pattern=r"^[A-Za-z0-9!#$&^_.+-]+/(?:[A-Za-z0-9!#$&^_.+-]*\+)?[Jj][Ss][Oo][Nn] *(?:;.*)?$",
    ),
]
"""`application/json`, any other `…/json`, or a type with the suffix `+json`."""
