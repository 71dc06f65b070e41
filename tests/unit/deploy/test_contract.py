"""The exported contract: schemas that say what the decoder does, and a guard that names what became narrower."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.contract.asyncapi import asyncapi
from deploy.contract.compatibility import narrowed
from deploy.contract.json_schemas import WIRE_TYPES, json_schema
from deploy.contract.published import FOLDER, compare, export
from tests.support.cli import botpulse
from tests.unit.schemas.support import EXAMPLES, example

PAYMENT = "botpulse.payment.succeeded.v1"
DATA = ("$defs", "PaymentSucceededData")


def validator(event_type: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((FOLDER / f"{event_type.removeprefix('botpulse.')}.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.json")), ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_golden_examples_are_valid(path: Path) -> None:
    document = json.loads(path.read_bytes())
    validator(document["type"]).validate(document)


@pytest.mark.parametrize("event_type", WIRE_TYPES)
def test_what_the_decoder_refuses_is_not_valid(event_type: str) -> None:
    good, check = example(event_type), validator(event_type)
    for member in ("specversion", "id", "source", "type", "subject", "time"):
        for wrong in ({name: value for name, value in good.items() if name != member}, {**good, member: 5}):
            assert not check.is_valid(wrong), (member, wrong)
    assert check.is_valid({**good, "extension": [1]})
    assert not check.is_valid({**good, "time": "2026-01-02T03:04:05+01:00"})
    assert not check.is_valid({**good, "datacontenttype": "text/plain"})
    assert check.is_valid({**good, "datacontenttype": "application/JSON; charset=utf-8"})


def changed(schema: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy with one place set; None removes it."""
    schema = copy.deepcopy(schema)
    place = schema
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return schema


MEMBER = (*DATA, "properties")
BREAKING = [
    ((*MEMBER, "credits"), None, "data.credits: is gone"),
    ((*MEMBER, "charge_id", "type"), "integer", "data.charge_id: the type was string, is integer"),
    ((*MEMBER, "charge_id", "maxLength"), 100, "data.charge_id: maxLength was 512, is 100"),
    ((*MEMBER, "charge_id", "minLength"), 2, "data.charge_id: minLength was 1, is 2"),
    ((*MEMBER, "charge_id", "pattern"), "^ch_", "data.charge_id: pattern was none, is ^ch_"),
    ((*MEMBER, "amount_cents", "maximum"), 10, "data.amount_cents: maximum was none, is 10"),
    ((*MEMBER, "amount_cents", "exclusiveMinimum"), 5, "data.amount_cents: exclusiveMinimum was 0, is 5"),
    ((*MEMBER, "provider", "enum"), ["stripe", "other"],
     "data.provider: no longer allowed: telegram_stars, telegram_payments"),
    ((*MEMBER, "charge_id", "const"), "ch_1", "data.charge_id: only ['ch_1'] are left"),
    ((*MEMBER, "credits"), {"minimum": 0, "type": "integer"}, "data.credits: the type was null, is integer"),
    ((*DATA, "required"), ["charge_id", "provider", "method", "amount_cents", "credits"],
     "data.credits: is required now"),
    (("$defs", "Original", "properties", "currency", "maxLength"), 3,
     "data.original.currency: maxLength was 512, is 3"),
    (("properties", "subject"), None, "subject: is gone"),
    ((*DATA, "additionalProperties"), False, "data: other additionalProperties are refused now"),
    ((*MEMBER, "charge_id", "not"), {}, "data.charge_id: not changed, and nothing here knows whether that narrows"),
]  # fmt: skip
HARMLESS = [
    ((*MEMBER, "tip_cents"), {"type": "integer"}),
    ((*MEMBER, "charge_id", "maxLength"), 1024),
    ((*MEMBER, "charge_id", "minLength"), None),
    ((*MEMBER, "method", "enum"), ["stars", "card", "wallet", "bank", "crypto", "other", "cash"]),
    ((*MEMBER, "amount_cents", "exclusiveMinimum"), None),
    ((*MEMBER, "amount_cents", "type"), "number"),
    ((*MEMBER, "amount_cents"), {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]}),
    ((*DATA, "required"), ["charge_id"]),
    (("description",), "Another text."),
]


@pytest.mark.parametrize(("path", "value", "finding"), BREAKING, ids=[case[2] for case in BREAKING])
def test_what_breaks_a_version_is_named(path: tuple[str, ...], value: Any, finding: str) -> None:
    schema = json_schema(PAYMENT)
    assert narrowed(schema, changed(schema, path, value)) == [finding]


@pytest.mark.parametrize(("path", "value"), HARMLESS)
def test_what_breaks_nothing_passes(path: tuple[str, ...], value: Any) -> None:
    schema = json_schema(PAYMENT)
    assert narrowed(schema, changed(schema, path, value)) == []


async def test_the_committed_files_are_those_of_the_classes() -> None:
    ran = await botpulse({}, "schemas", "check")
    assert (ran.status, ran.err) == (0, ""), ran.out
    assert compare().breaking == compare().stale == []


async def test_a_narrowed_version_fails_with_the_members_name(tmp_path: Path) -> None:
    export(tmp_path)
    # The files are what was promised: a member and a value that the classes don't have any more.
    path = tmp_path / "payment.succeeded.v1.json"
    wider = changed(json.loads(path.read_bytes()), (*MEMBER, "tip_cents"), {"type": "integer"})
    wider = changed(wider, (*MEMBER, "method", "enum"), [*wider["$defs"]["PaymentSucceededData"]["properties"]
                                                         ["method"]["enum"], "cash"])  # fmt: skip
    path.write_text(json.dumps(wider))
    (tmp_path / "user.deleted.v1.json").write_text("{}")
    checked = await botpulse({}, "schemas", "check", "--folder", str(tmp_path), "--json")
    assert checked.status == 1
    assert checked.json == {
        "breaking": [
            "payment.succeeded.v1: data.method: no longer allowed: cash",
            "payment.succeeded.v1: data.tip_cents: is gone",
            "user.deleted.v1: the event type is gone",
        ],
        "stale": ["payment.succeeded.v1.json"],
    }
    exported = await botpulse({}, "schemas", "export", "--folder", str(tmp_path))
    assert exported.status == 1
    assert "data.tip_cents: is gone" in exported.out
    assert json.loads(path.read_bytes()) == wider
    path.write_text("no JSON")
    unreadable = await botpulse({}, "schemas", "check", "--folder", str(tmp_path))
    assert unreadable.status == 2
    assert str(path) in unreadable.err


def test_the_document_has_every_type_and_no_loose_end() -> None:
    document = asyncapi()
    assert set(document["components"]["messages"]) == {name.removeprefix("botpulse.") for name in WIRE_TYPES}

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [found for value in part.values() for found in references(value)]
        return [found for item in part for found in references(item)] if isinstance(part, list) else []

    for reference in set(references(document)):
        place = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
