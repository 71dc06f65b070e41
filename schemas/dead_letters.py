"""Dead letters: a refused record as it was, and why.

The original headers come first and ours, from `dl-reason` on, after them: a reader that takes the last header
of a name sees ours, whatever the original carried.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from .headers import sendable
from .reasons import Reason
from .records import LogRecord

Stage = Literal["streams", "projections"]

MAX_LETTER_BYTES: Final = 3 * 512 * 1024
"""Key, value and headers together; the topic takes 2 MiB, a batch's own bytes included."""
KEPT_BYTES: Final = 64 * 1024
"""What is kept of a part that is cut."""
MAX_DETAIL_CHARACTERS: Final = 500

_FIRST_HEADER: Final = "dl-reason"


class Letter(NamedTuple):
    """What is sent to the topic of dead letters."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def letter(record: LogRecord, reason: Reason, detail: str, stage: Stage) -> Letter:
    """Return the letter for `record`: its bytes, key and headers, then the headers that say why.

    Beyond MAX_LETTER_BYTES the value keeps its first 64 KiB, with `dl-truncated`, `dl-length` and `dl-sha256`
    of the whole; where that is not enough, so does the key (`dl-key-length`, `dl-key-sha256`), and original
    headers beyond 64 KiB together are left out (`dl-headers-dropped` counts them). In a header's name that is not
    UTF-8 the wrong bytes are written as `\\xNN`: a producer can't send them.
    """
    key, value = record.key, record.value
    kept = [(sendable(name), content) for name, content in record.headers]
    ours = [
        (_FIRST_HEADER, reason.value.encode()),
        ("dl-detail", detail[:MAX_DETAIL_CHARACTERS].encode(errors="replace")),
        ("dl-topic", record.topic.encode()),
        ("dl-partition", b"%d" % record.partition),
        ("dl-offset", b"%d" % record.offset),
        ("dl-stage", stage.encode()),
    ]
    if value is not None and len(value) > KEPT_BYTES and _size(key, value, kept) > MAX_LETTER_BYTES:
        ours += [("dl-truncated", b"true"), *_fingerprint("dl-", value)]
        value = value[:KEPT_BYTES]
    if key is not None and len(key) > KEPT_BYTES and _size(key, value, kept) > MAX_LETTER_BYTES:
        ours += _fingerprint("dl-key-", key)
        key = key[:KEPT_BYTES]
    if _size(key, value, kept) > MAX_LETTER_BYTES:
        total = len(kept)
        kept = _first_headers(kept)
        ours.append(("dl-headers-dropped", b"%d" % (total - len(kept))))
    return Letter(key, value, kept + ours)


def split_headers(headers: Sequence[tuple[str, bytes]]) -> tuple[list[tuple[str, bytes]], dict[str, bytes]]:
    """Return a letter's original headers, and the headers that `letter` added, by name."""
    start = max((index for index, (name, _) in enumerate(headers) if name == _FIRST_HEADER), default=len(headers))
    return list(headers[:start]), dict(headers[start:])


def _header_size(header: tuple[str, bytes]) -> int:
    name, value = header
    # Lengths are stored as well; null is a legal header value in Kafka.
    return len(name.encode()) + len(value or b"") + 10


def _size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> int:
    return len(key or b"") + len(value or b"") + sum(map(_header_size, headers))


def _fingerprint(prefix: str, whole: bytes) -> list[tuple[str, bytes]]:
    return [
        (f"{prefix}length", b"%d" % len(whole)),
        (f"{prefix}sha256", hashlib.sha256(whole).hexdigest().encode()),
    ]


def _first_headers(headers: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    size = 0
    for index, header in enumerate(headers):
        size += _header_size(header)
        if size > KEPT_BYTES:
            return list(headers[:index])
    return list(headers)
