"""Times as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.errors import ConfigurationError


def moment_of(option: str, text: str) -> datetime:
    """Return the time that an option was given; a day is its beginning, and what has no zone is UTC.

    Raises ConfigurationError that names the option.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{option} {text}: a time is written as 2026-01-02T03:04:05Z") from None
