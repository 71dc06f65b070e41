"""What pydantic finds, in this project's words: one place for all that people read of it."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_WRONG: Final = "has a wrong value"
_RULES: Final = {
    "missing": "is missing",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
}
_PARSED: Final = {
    "extra_forbidden": "is not known",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
}
"""Rules that only what is written by hand can break: settings and mappings."""


def rule(finding: ErrorDetails) -> str:
    """Say which rule of the contract was broken, quoting nothing of what was sent."""
    return _RULES.get(finding["type"], _WRONG).format(**finding.get("ctx", {}))


def problems(error: ValidationError) -> str:
    """Say all that is wrong with what was written by hand: each member, and the rule that it breaks."""
    return "; ".join(map(_told, error.errors(include_url=False, include_input=False)))


def _told(finding: ErrorDetails) -> str:
    member = ".".join(map(str, finding["loc"]))
    if finding["type"] == "value_error":  # a check of ours, which has its own words
        return ": ".join(filter(None, (member, str(finding["ctx"]["error"]))))
    if finding["type"] == "string_too_short" and finding["ctx"]["min_length"] == 1:
        return f"{member} is empty"
    return f"{member} {_PARSED.get(finding['type']) or rule(finding)}".strip()
