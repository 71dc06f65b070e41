"""The syntax of the whole value, and that nothing but InvalidEvent ever leaves a decoder."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.errors import InvalidEvent
from schemas.reasons import Reason
from schemas.syntax import MAX_DEPTH, MAX_VALUE_BYTES, check_syntax, is_plain

from .support import DECODER, EXAMPLES, TIER_DECODER, Record, example, record

SMALL = (
    '{"specversion":"1.0","id":"a","source":"a","type":"botpulse.message.sent.v1","subject":"1",'
    '"time":"2026-01-02T03:04:05Z","data":{"kind":"text"}%s}'
)
GOLDEN = [path.read_bytes() for path in sorted(EXAMPLES.rglob("*.json"))]


def extra(member: str) -> str:
    """Return a valid event with one more member of the envelope, and one of data."""
    return SMALL.replace('"text"}', '"text",' + member + "}") % ("," + member)


def reason_of(value: bytes | str) -> Reason | None:
    try:
        DECODER.decode(record(value))
    except InvalidEvent as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"[{}]",
        b"null",
        b"5",
        b'"x"',
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + (SMALL % "").encode(),
        (SMALL % "").encode("utf-16"),
        (SMALL % "").encode() * 2,
        (SMALL % "").encode() + b"\x00",
        (SMALL % "").encode()[:-1],
        (SMALL % ",").encode(),
        (SMALL % "").replace('"', "'").encode(),
        b"// no comments\n" + (SMALL % "").encode(),
    ],
)
def test_no_json_object(value: bytes) -> None:
    assert reason_of(value) is Reason.SYNTAX


def test_no_value() -> None:
    with pytest.raises(InvalidEvent) as caught:
        DECODER.decode(Record(None, b"1", 0))
    assert caught.value.reason is Reason.SYNTAX


@pytest.mark.parametrize(
    "member",
    [
        '"x":NaN',
        '"x":-NaN',
        '"x":Infinity',
        '"x":-Infinity',
        '"x":[1,{"y":NaN}]',
        '"x":"\\u0000"',
        '"x":"a\\\\\\u0000"',
        '"\\u0000":1',
        '"x":[{"y":["\\u0000"]}]',
        '"x":"\x00"',
        '"x":"\\ud800"',
        '"x":"\\udc00"',
        '"x":"\\udc00\\ud800"',
        '"x":"\\ud800x"',
        '"\\uDBFF":1',
        '"x":"\n"',
        '"x":01',
        '"x":+1',
        '"x":.5',
        '"x":1.',
        '"x":0x10',
        '"x":True',
        '"x":undefined',
        '"x":',
        '"x":[1,]',
        '"x":"\\x41"',
        '"x":"\\u12"',
        '"x":' + "9" * 5000,
    ],
)
def test_bad_extras(member: str) -> None:
    assert reason_of(extra(member)) is Reason.SYNTAX
    # What a later duplicate wins over is checked all the same.
    name = member.split(":")[0]
    assert reason_of(extra(f"{member},{name}:1")) is Reason.SYNTAX


@pytest.mark.parametrize(
    "member",
    [
        '"NaN":"NaN Infinity -Infinity"',
        '"x":"\\\\u0000"',
        '"x":"\\\\\\\\u0000 \\u0001"',
        '"x":"\\"NaN\\" \\u0041"',
        '"x":"[[[[[[{{{{{{' + "[" * 100 + '"',
        '"x":"\\ud83d\\ude00 \\/ \U0001f600 \x7f"',
        '"x":1e400',
        '"x":-0.0',
        '"x":' + "9" * 4000,
        '"":""',
        '"x":[' + "{}," * 200 + "{}]",
    ],
)
def test_good_extras(member: str) -> None:
    assert reason_of(extra(member)) is None


def test_invalid_utf8_anywhere() -> None:
    for broken in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
        value = extra('"x":"@"').encode().replace(b"@", broken)
        assert reason_of(value) is Reason.SYNTAX


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"":', "}"), ('[{"a":', "}]")])
def test_depth(opening: str, closing: str) -> None:
    step = opening.count("[") + opening.count("{")
    levels = MAX_DEPTH // step

    def nested(count: int) -> str:
        return SMALL % (',"x":' + opening * count + "1" + closing * count)

    # The event itself is the first level.
    assert reason_of(nested((MAX_DEPTH - 1) // step)) is None
    assert reason_of(nested(levels)) is Reason.SYNTAX
    for count in (100, 150, 250, 5_000, 60_000 // len(opening + closing)):
        assert reason_of(nested(count)) is Reason.SYNTAX
    assert reason_of(opening * levels + "1" + closing * levels + "]") is Reason.SYNTAX
    assert reason_of(opening * 40_000) is Reason.SYNTAX


def test_depth_by_objects_alone_is_seen_in_the_smallest_event() -> None:
    smallest = SMALL.replace(',"data":{"kind":"text"}', "")
    deepest = smallest % (',"":' + '{"":' * (MAX_DEPTH - 1) + "{}" + "}" * (MAX_DEPTH - 1))
    assert not is_plain(deepest.encode())
    assert is_plain((SMALL % "").encode())
    # No event, and too short to be looked at closely at first: named as what it is all the same.
    assert reason_of('{"":' * MAX_DEPTH + "{}" + "}" * MAX_DEPTH) is Reason.SYNTAX


def test_size() -> None:
    room = MAX_VALUE_BYTES - len(SMALL % ',"x":""')
    assert reason_of(SMALL % f',"x":"{"y" * room}"') is None
    assert reason_of(SMALL % f',"x":"{"y" * (room + 1)}"') is Reason.TOO_LARGE
    assert reason_of(b"\xff" * (MAX_VALUE_BYTES + 1)) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("first", "last", "valid"),
    [
        ('"length":"x"', '"length":4', True),
        ('"length":4', '"length":"x"', False),
        ('"kind":{}', '"kind":"photo"', True),
        ('"kind":"photo"', '"kind":"nonsense"', False),
    ],
)
@pytest.mark.parametrize("between", ["", "".join(f'"x{number}":{number},' for number in range(200))])
def test_of_duplicates_the_last_wins(first: str, last: str, valid: bool, between: str) -> None:
    value = SMALL.replace('{"kind":"text"}', '{"kind":"text",' + first + "," + between + last + "}") % ""
    assert reason_of(value) is (None if valid else Reason.DATA)


@pytest.mark.parametrize("between", ["", "".join(f'"x{number}":{number},' for number in range(200))])
def test_of_duplicate_types_and_data_the_last_wins(between: str) -> None:
    blocked = '"type":"botpulse.user.bot_blocked.v1"'
    assert DECODER.decode(record(SMALL % f",{between}{blocked}")).type == "botpulse.user.bot_blocked.v1"
    assert reason_of(SMALL % f',{between}"type":5') is Reason.ENVELOPE
    assert reason_of(SMALL % f',{between}"data":5') is Reason.DATA
    message = DECODER.decode(record("{" + blocked + ',"data":5,' + between + (SMALL % "")[1:]))
    assert message.type == "botpulse.message.sent.v1"
    subject = DECODER.decode(record(SMALL % f',{between}"subject":"22"'))
    assert subject.subject == "22"


@pytest.mark.parametrize(
    "value", [b'"' * 200_000, b'\\"' * 100_000, b"\\" * 200_000, b'"\\u0000' * 30_000, b"[" * 262_144]
)
def test_poison_costs_no_more_than_its_size(value: bytes) -> None:
    assert reason_of(value) is Reason.SYNTAX


def decodes_or_refuses(broken: Record) -> None:
    for decoder in (DECODER, TIER_DECODER):
        try:
            event = decoder.decode(broken)
        except InvalidEvent:
            continue
        again = record(encode(event), key=broken.key, timestamp=broken.timestamp)
        assert decoder.decode(again) == event


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(value: bytes) -> None:
    decodes_or_refuses(record(value))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_examples(data: st.DataObject) -> None:
    value = bytearray(data.draw(st.sampled_from(GOLDEN)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        length = data.draw(st.integers(0, 8))
        piece = data.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b"{", b"[", b"]", b'"', b"null", b"NaN", b"\\u0000", b"\\ud800", b"1e999", b","]),
            )
        )
        value[at : at + length] = piece
        if not value:
            return
    decodes_or_refuses(record(bytes(value), key=b"123456789"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec=None), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def clean(tree: Any) -> bool:
    """The rule once more, on the tree instead of the bytes."""
    if isinstance(tree, str):
        return "\0" not in tree and not any("\ud800" <= letter <= "\udfff" for letter in tree)
    if isinstance(tree, float):
        return tree - tree == 0
    if isinstance(tree, list):
        return all(map(clean, tree))
    if isinstance(tree, dict):
        return all(clean(name) and clean(inner) for name, inner in tree.items())
    return True


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec=None), max_size=4), JSON, max_size=3), st.booleans())
def test_extras_are_judged_as_a_whole(extras: dict[str, Any], in_data: bool) -> None:
    document = example("botpulse.message.received.v1", "minimal")
    place = document["data"] if in_data else document
    for name, tree in extras.items():
        place.setdefault(name, tree)
    assert (reason_of(json.dumps(document)) is None) == clean(document)


@settings(max_examples=50, deadline=None)
@given(JSON, st.sampled_from(["id", "source", "type", "subject", "time", "data", "specversion"]))
def test_any_value_of_any_member(tree: Any, member: str) -> None:
    for name in ("payment.succeeded", "content.published", "admin.action_taken", "tier.changed"):
        document = example(f"botpulse.{name}.v1")
        decodes_or_refuses(record(json.dumps({**document, member: tree}), key=b"123456789"))
        if member == "data":
            for inner in list(document["data"]):
                changed = {**document, "data": {**document["data"], inner: tree}}
                decodes_or_refuses(record(json.dumps(changed), key=b"123456789"))


def test_check_syntax_takes_every_example() -> None:
    for value in GOLDEN:
        check_syntax(value)
