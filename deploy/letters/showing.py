"""A refused record in a form that people can read; what may be personal data only where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from projections.verify.history import broker_time
from schemas.codec import Decoder
from schemas.errors import InvalidEvent
from schemas.records import LogRecord

HIDDEN: Final = "(hidden)"
_BYTES_SHOWN: Final = 2_000
_SAFE: Final = frozenset({
    "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "kind", "provider", "method",
    "currency", "purpose", "charge_id", "refund_id", "dispute_id", "attempt_id", "trigger_id", "content_id",
    "subscription_id", "outcome", "failure_code", "content_type", "paid_with", "plan", "action", "expires_at",
})  # fmt: skip
"""Members whose texts say nothing of a person."""


def readable(value: bytes | None, *, show_personal: bool) -> Any:
    """Return a value as JSON where it is JSON, else as text with its unprintable bytes escaped.

    Without `show_personal` texts of members that may be about a person are hidden, and so is what is no JSON.
    """
    if value is None:
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        if not show_personal:
            return f"{HIDDEN}: {len(value):,} bytes that are no JSON"
        shown = value[:_BYTES_SHOWN].decode(errors="backslashreplace")
        return shown if len(value) <= _BYTES_SHOWN else f"{shown}... ({len(value):,} bytes)"
    return parsed if show_personal else _masked(parsed, None)


def _masked(value: Any, member: str | None) -> Any:
    if isinstance(value, dict):
        return {name: _masked(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, member) for item in value]
    return HIDDEN if isinstance(value, str) and member not in _SAFE else value


def readable_headers(headers: Sequence[tuple[str, bytes]]) -> list[list[str]]:
    """Return header names and values as text."""
    return [
        [name.encode(errors="surrogateescape").decode(errors="backslashreplace"),
         (value or b"")[:_BYTES_SHOWN].decode(errors="backslashreplace")]
        for name, value in headers
    ]  # fmt: skip


def neighbour(record: LogRecord, decoder: Decoder, key: bytes | None) -> dict[str, Any]:
    """Return what a record next to a refused one is."""
    try:
        what: str = decoder.decode(record).type
    except InvalidEvent as error:
        what = f"refused: {error.reason.value}: {error.detail}"
    return {
        "offset": record.offset,
        "broker_time": broker_time(record.timestamp).isoformat(),
        "same_key": record.key == key,
        "what": what,
    }


def moment(milliseconds: int) -> str:
    """Return a time in milliseconds since 1970 as text."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
