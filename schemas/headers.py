"""Which record headers an event may come with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .errors import InvalidEvent
from .reasons import Reason

_BINARY_MODE_PREFIX: Final = "ce_"
_STRUCTURED = re.compile(
    rb'application/cloudevents\+json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?', re.IGNORECASE
)


def is_utf8(name: str) -> bool:
    """Tell whether a header's name was UTF-8 on the wire (see `schemas.kafka.log_reading`)."""
    return name.isascii() or not any("\udc80" <= character <= "\udcff" for character in name)


def sendable(name: str) -> str:
    """Return the name with each byte that is not UTF-8 written as `\\xNN`."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def check_headers(headers: Sequence[tuple[str, bytes]]) -> None:
    """Refuse another content type than structured CloudEvents in UTF-8, any binary-mode header, and a name that is not
    UTF-8.

    No content-type at all is fine, as are headers of other names. Raises InvalidEvent, reason `content_type`.
    """
    for name, value in headers:
        if not is_utf8(name):
            raise InvalidEvent(Reason.CONTENT_TYPE, "a header's name is not UTF-8")
        name = name.lower()
        if name.startswith(_BINARY_MODE_PREFIX):
            raise InvalidEvent(Reason.CONTENT_TYPE, "a ce_ header: only the structured mode is taken")
        # Null is a legal header value in Kafka.
        if name == "content-type" and (value is None or not _STRUCTURED.fullmatch(value)):
            raise InvalidEvent(Reason.CONTENT_TYPE, "content-type must be application/cloudevents+json in UTF-8")
