"""Why an input became a dead letter: the closed list behind the header `dl-reason`."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One value a cause; a letter's `dl-detail` says more."""

    SYNTAX = "syntax"
    """No value, not UTF-8, not one JSON object, too deep, NaN or Infinity, NUL or lone surrogate in a string."""
    TOO_LARGE = "too_large"
    """The value is larger than the contract allows."""
    ENVELOPE = "envelope"
    """A member of the CloudEvents envelope is missing or has a wrong type or value."""
    UNKNOWN_TYPE = "unknown_type"
    """The event type is none of this version's."""
    DATA = "data"
    """A member of `data` is missing or has a wrong type or value."""
    LIMIT = "limit"
    """A number is beyond a limit that held at the record's broker time."""
    TIME = "time"
    """`time` is not in the contract's form, before 2013, or more than 24 h after the broker's timestamp."""
    KEY = "key"
    """The record's key is not the event's subject."""
    PARTITION = "partition"
    """The record lies on another partition than its key's."""
    CONTENT_TYPE = "content_type"
    """A content-type header of another kind, binary-mode `ce_` headers, or a header name that is not UTF-8."""
    CONFLICT = "conflict"
    """A second fact with a known business identity and another amount."""
    DATABASE = "database"
    """The database refused the event's rows (stage projections)."""
