"""The syntax that every value must have, whatever it says: checked on the bytes, unknown members included.

Most of it (UTF-8, one JSON object, no lone surrogate) is the JSON parser's own strictness. What is left, the
parser takes without complaint: size, depth, NUL in a string, NaN and Infinity. A few searches over the bytes
prove a usual value free of these; only one that they can't prove is scanned token by token.
"""

from __future__ import annotations

import re
from typing import Final

from .errors import InvalidEvent
from .reasons import Reason

MAX_VALUE_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
"""Objects and arrays inside each other, the outermost counted."""

# A string that never ends is a token too, so that the scan stays linear; the parser refuses it later.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[][{}]|NaN|Infinity', re.DOTALL)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")

_BACKSLASH, _BRACKET, _I, _N = b"\\[IN"
_SHALLOW_BYTES: Final = 120 + 5 * (MAX_DEPTH - 1)
"""An event's required members take more than 120 bytes, and every level of objects the five bytes of `{"":}`."""


def is_plain(value: bytes) -> bool:
    """Tell, cheaply, whether an event in `value` can't break any rule of `check_syntax`.

    True proves it for an event, not for any JSON; False proves nothing.
    """
    # Looking for one byte is several times faster than looking for a text, or counting.
    return not (len(value) > _SHALLOW_BYTES or _BACKSLASH in value or _N in value or _I in value or _BRACKET in value)


def check_syntax(value: bytes) -> None:
    """Refuse what the parser would let pass.

    Raises InvalidEvent: reason `too_large` beyond 256 KiB, else `syntax`.
    """
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidEvent(Reason.TOO_LARGE, f"{len(value)} bytes, at most {MAX_VALUE_BYTES} are allowed")
    if (
        (value.count(b"{") + value.count(b"[") > MAX_DEPTH)
        or (_BACKSLASH in value and b"\\u0000" in value)
        or (_N in value and b"NaN" in value)
        or (_I in value and b"Infinity" in value)
    ):
        _scan(value)


def _scan(value: bytes) -> None:
    depth = 0
    for match in _TOKEN.finditer(value):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidEvent(Reason.SYNTAX, f"nested deeper than {MAX_DEPTH}")
        elif token in (b"}", b"]"):
            depth -= 1
        elif token.startswith(b'"'):
            if _NUL.search(token):
                raise InvalidEvent(Reason.SYNTAX, "a NUL character in a string")
        else:
            raise InvalidEvent(Reason.SYNTAX, f"the token {token.decode()} is not JSON")
