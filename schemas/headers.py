"""Which record headers an event may come with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .errors import InvalidEvent
from .reasons import Reason
from .records import CONTENT_TYPE_HEADER

_BINARY_MODE_PREFIX: Final = "ce_"
_STRUCTURED = re.compile(
    rb'application/cloudevents\+json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?', re.IGNORECASE
)
USUAL_HEADERS: Final = (CONTENT_TYPE_HEADER,)


def check_headers(headers: Sequence[tuple[str, bytes]]) -> None:
    """Refuse another content type than structured CloudEvents in UTF-8, and any binary-mode header.

    No content-type at all is fine, as are headers of other names. Raises InvalidEvent, reason `content_type`.
    """
    if not headers or tuple(headers) == USUAL_HEADERS:
        return
    for name, value in headers:
        name = name.lower()
        if name.startswith(_BINARY_MODE_PREFIX):
            raise InvalidEvent(Reason.CONTENT_TYPE, "a ce_ header: only the structured mode is taken")
        # Null is a legal header value in Kafka.
        if name == "content-type" and (value is None or not _STRUCTURED.fullmatch(value)):
            raise InvalidEvent(Reason.CONTENT_TYPE, "content-type must be application/cloudevents+json in UTF-8")
