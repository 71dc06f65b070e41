"""Records that the contract refuses, each with the reason that its dead letter must give."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

Headers = list[tuple[str, bytes]]

CONTENT_TYPE = ("content-type", b"application/cloudevents+json; charset=UTF-8")

_KIBIBYTE = 1024


class Poison(NamedTuple):
    """What goes on the log, and why it is refused."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    misplaced: bool
    """To be written to another partition than its key's."""


class _Draft(NamedTuple):
    event: dict[str, Any]
    rng: random.Random

    def member(self, name: str, value: object) -> bytes:
        return orjson.dumps({**self.event, name: value})

    def without(self, name: str) -> bytes:
        return orjson.dumps({key: value for key, value in self.event.items() if key != name})

    def typed(self, kind: str, data: dict[str, object]) -> bytes:
        return orjson.dumps({**self.event, "type": f"botpulse.{kind}.v1", "data": data})

    def raw(self, number: str) -> bytes:
        """A message whose length is written as `number`, which no JSON library of ours would write."""
        mark = 1234567890
        value = self.typed("message.received", {"kind": "text", "length": mark})
        return value.replace(str(mark).encode(), number.encode())


_CHARGE: dict[str, object] = {"charge_id": "poison", "provider": "stripe", "method": "card", "amount_cents": 999}

_VALUES: tuple[tuple[str, Callable[[_Draft], bytes | None]], ...] = (
    ("syntax", lambda draft: orjson.dumps(draft.event)[:-7]),
    ("syntax", lambda draft: b"\xff\xfe" + orjson.dumps(draft.event)),
    ("syntax", lambda draft: draft.raw("NaN")),
    ("syntax", lambda draft: draft.raw("-Infinity")),
    ("syntax", lambda draft: draft.member("note", "nul \x00 inside")),
    ("syntax", lambda draft: orjson.dumps(draft.event)[:-1] + b',"note":"\\ud800"}'),
    ("syntax", lambda draft: orjson.dumps(draft.event)[:-1] + b',"deep":' + b"[" * 80 + b"]" * 80 + b"}"),
    ("syntax", lambda draft: b"[" + orjson.dumps(draft.event) + b"]"),
    ("syntax", lambda _: None),
    ("syntax", lambda _: b""),
    ("too_large", lambda draft: draft.member("note", "x" * (260 * _KIBIBYTE))),
    ("envelope", lambda draft: draft.without("id")),
    ("envelope", lambda draft: draft.member("specversion", "0.3")),
    ("unknown_type", lambda draft: draft.typed("payment.imagined", {})),
    ("unknown_type", lambda draft: draft.member("type", "botpulse.payment.succeeded.v9")),
    ("time", lambda draft: draft.member("time", "2012-12-31T23:59:59Z")),
    ("time", lambda draft: draft.member("time", "2999-01-01T00:00:00Z")),
    ("time", lambda draft: draft.member("time", draft.event["time"][:-1] + "+00:00")),
    ("data", lambda draft: draft.typed("payment.succeeded", {**_CHARGE, "amount_cents": "999"})),
    ("data", lambda draft: draft.typed("payment.succeeded", {**_CHARGE, "provider": "piggy_bank"})),
    ("data", lambda draft: draft.typed("payment.succeeded", {**_CHARGE, "charge_id": ""})),
    ("data", lambda draft: draft.typed("credits.spent", {"credits": 0, "reason": "message"})),
    ("data", lambda draft: draft.typed("credits.spent", {"reason": "message"})),
    ("data", lambda draft: draft.raw("9.5")),
    ("limit", lambda draft: draft.typed("payment.succeeded", {**_CHARGE, "amount_cents": 1_000_001})),
    ("limit", lambda draft: draft.typed("credits.granted", {"credits": 1_000_001, "reason": "admin"})),
)
_RECORDS = ("key", "no_key", "partition", "content_type", "binary_mode")


def poison(rng: random.Random, event: dict[str, Any], other: str) -> Poison:
    """A broken record made from a valid `event`; `other` is another user's id."""
    key = event["subject"].encode()
    kind = rng.randrange(len(_VALUES) + len(_RECORDS))
    if kind < len(_VALUES):
        reason, write = _VALUES[kind]
        return Poison(key, write(_Draft(event, rng)), [CONTENT_TYPE], reason, False)
    value = orjson.dumps(event)
    match _RECORDS[kind - len(_VALUES)]:
        case "key":
            return Poison(other.encode(), value, [CONTENT_TYPE], "key", False)
        case "no_key":
            return Poison(None, value, [CONTENT_TYPE], "key", False)
        case "partition":
            return Poison(key, value, [CONTENT_TYPE], "partition", True)
        case "content_type":
            return Poison(key, value, [("content-type", b"text/plain")], "content_type", False)
        case _:
            return Poison(key, value, [("ce_id", event["id"].encode()), CONTENT_TYPE], "content_type", False)
