"""From the validator's findings to the reason and detail of a dead letter.

A detail names the member and the rule. It never quotes what was sent: that may be personal data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from .errors import InvalidEvent
from .events import EVENT_TYPES, TierChanged
from .findings import rule
from .reasons import Reason

_TIME_RULE = "must be YYYY-MM-DDTHH:MM:SS[.ffffff]Z"
_MEMBER_RULES: Final = {
    "subject": "must be a telegram_id, 1 to 2^52 (or content:<content_id> for a content item)",
    "time": f"{_TIME_RULE}, not before 2013",
    "datacontenttype": "must be a JSON media type",
    "data.expires_at": _TIME_RULE,
    "data.details": "must be a flat object of strings, finite numbers and booleans",
    "data.benefits": "must be an object of whole numbers",
}
_OUR_TYPE = re.compile(r"botpulse\.[a-z_.]{1,64}\.v[0-9]{1,4}")


def _member_names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _member_names(part)


_MEMBERS: Final = frozenset(name for model in (*EVENT_TYPES.values(), TierChanged) for name in _member_names(model))


def refusal(error: ValidationError, value: bytes) -> InvalidEvent:
    """Return the InvalidEvent that stands for the first finding in `error`, found in `value`."""
    finding = error.errors(include_url=False, include_input=False)[0]
    kind = finding["type"]
    if kind == "json_invalid":
        return InvalidEvent(Reason.SYNTAX, f"not JSON: {finding['ctx']['error']}")
    if kind == "union_tag_not_found":
        return InvalidEvent(Reason.ENVELOPE, "type is missing")
    if kind == "union_tag_invalid":
        return _unknown_type(value)
    path = _path(finding)
    if not path:
        if kind == "subject":
            return InvalidEvent(Reason.ENVELOPE, "subject must be content:<content_id>")
        return InvalidEvent(Reason.SYNTAX, "not one JSON object")
    if path == ["type"] and kind == "literal_error":
        return _unknown_type(value)
    reason = {"data": Reason.DATA, "time": Reason.TIME}.get(path[0], Reason.ENVELOPE)
    return InvalidEvent(reason, f"{'.'.join(path)} {_rule('.'.join(path), finding)}")


def _unknown_type(value: bytes) -> InvalidEvent:
    name = from_json(value)["type"]
    if not isinstance(name, str):
        return InvalidEvent(Reason.ENVELOPE, "type must be a string")
    shown = f"{name} is" if _OUR_TYPE.fullmatch(name) else "the type is"
    return InvalidEvent(Reason.UNKNOWN_TYPE, f"{shown} none of this topic's event types")


def _path(finding: ErrorDetails) -> list[str]:
    """Return the member's path: without the union's tag in front, up to a key that the sender chose."""
    path: list[str] = []
    for part in finding["loc"]:
        if part in _MEMBERS:
            path.append(str(part))
        elif path:
            break
    return path


def _rule(member: str, finding: ErrorDetails) -> str:
    kind = finding["type"]
    if kind != "missing" and member in _MEMBER_RULES:
        return _MEMBER_RULES[member]
    return rule(finding)
