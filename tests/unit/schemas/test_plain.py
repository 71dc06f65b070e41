"""Events as dictionaries: what the classes take is taken, and nothing else.

Every record that another test here decodes is decoded this way too (`support.BothWays`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from schemas.errors import InvalidEvent
from schemas.events import EVENT_TYPES
from schemas.plain import PLAIN_TYPES, validator

from .support import DECODER, example, record, with_raw

RAW = [
    *("null", "true", "0", "1", "-1", "7.0", "1e3", "1.5", "5", "1000001", "100000000", "9007199254740993"),
    *('""', '"5"', '"x"', '"é"', r'"\u0000"', r'"\ud800"', "NaN", "[]", "{}", '{"a":1,"a":"x"}', '[{"a":null}]'),
    *(f'"{"x" * length}"' for length in (64, 65, 256, 257, 512, 513)),
]


def paths(document: dict[str, Any]) -> Iterator[list[str]]:
    for name, value in document.items():
        yield [name]
        if isinstance(value, dict):
            yield from ([name, *rest] for rest in paths(value))


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_whatever_a_member_is_both_ways_agree(event_type: str) -> None:
    document = example(event_type)
    for path in paths(document):
        for raw in RAW:
            with suppress(InvalidEvent):
                DECODER.decode(record(with_raw(document, path, raw)))
        without = json.loads(json.dumps(document))
        place = without
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]
        with suppress(InvalidEvent):
            DECODER.decode(record(without))


@pytest.mark.parametrize("event_type", PLAIN_TYPES)
def test_the_usual_event_does_not_need_the_slower_way(event_type: str) -> None:
    for name in ("minimal", "full"):
        assert validator()(json.dumps(example(event_type, name)).encode())["type"] == event_type


def models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield of
    for field in of.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


@pytest.mark.parametrize("event_type", PLAIN_TYPES)
def test_no_class_compares_its_members(event_type: str) -> None:
    """A dictionary's members are checked one by one: a class with a validator of its own is not for `validator`."""
    for model in models(PLAIN_TYPES[event_type]):
        found = model.__pydantic_decorators__
        kinds = (found.validators, found.field_validators, found.root_validators, found.model_validators)
        assert not any(kinds)
