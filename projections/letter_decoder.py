"""From a record on the topic of dead letters to what it says."""

from __future__ import annotations

import re
from typing import Final

from projections.batch import DeadLetter
from schemas.dead_letters import split_headers
from schemas.errors import InvalidEvent
from schemas.reasons import Reason
from schemas.records import LogRecord

_NUMBER: Final = {"dl-partition": re.compile(rb"[0-9]{1,9}"), "dl-offset": re.compile(rb"[0-9]{1,18}")}
_STAGES: Final = frozenset({"streams", "projections"})
_CHARACTERS_KEPT: Final = 512


def decode_letter(record: LogRecord) -> DeadLetter:
    """Return what the letter's headers say. Raises InvalidEvent for a record that is no letter of ours.

    Whatever comes out has a row that the database takes: a letter about a letter would have no end.
    """
    _, headers = split_headers(record.headers)
    numbers = {name: headers.get(name) or b"" for name in _NUMBER}
    topic, stage = _text(headers.get("dl-topic")), _text(headers.get("dl-stage"))
    if (
        not topic
        or stage not in _STAGES
        or not all(_NUMBER[name].fullmatch(number) for name, number in numbers.items())
    ):
        raise InvalidEvent(Reason.ENVELOPE, "no dead letter: its headers don't say which record was refused")
    partition, offset = map(int, numbers.values())
    return DeadLetter(topic, partition, offset, stage, _text(headers.get("dl-reason")), _text(headers.get("dl-detail")))


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:_CHARACTERS_KEPT]
