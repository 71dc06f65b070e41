"""Events built in Python: what they take, and what they become on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.codec import encode, event_identity, key_of
from schemas.errors import InvalidEvent
from schemas.events import (
    AdminActionTaken,
    AdminActionTakenData,
    ContentItemData,
    ContentPublished,
    CreditsGranted,
    CreditsGrantedData,
    MessageData,
    MessageReceived,
    SubscriptionData,
    UserBotBlocked,
    UserProfileChanged,
    UserProfileChangedData,
)
from schemas.reasons import Reason

from .support import DECODER, record

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def message(**changes: Any) -> MessageReceived:
    members: dict[str, Any] = {
        "id": "1",
        "source": "/bots/demo",
        "subject": "42",
        "time": NOON,
        "data": MessageData(kind="text"),
    }
    return MessageReceived(**{**members, **changes})


def test_the_wire_form() -> None:
    assert json.loads(encode(message())) == {
        "specversion": "1.0",
        "id": "1",
        "source": "/bots/demo",
        "type": "botpulse.message.received.v1",
        "subject": "42",
        "time": "2026-01-02T12:00:00.000Z",
        "data": {"kind": "text"},
    }
    assert key_of(message()) == b"42"
    assert event_identity(message()) == ("/bots/demo", "1", NOON)
    assert json.loads(encode(UserBotBlocked(id="1", source="s", subject="42", time=NOON))).keys() == {
        "specversion", "id", "source", "type", "subject", "time",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (NOON, "2026-01-02T12:00:00.000Z"),
        (NOON + timedelta(milliseconds=5), "2026-01-02T12:00:00.005Z"),
        (NOON + timedelta(microseconds=5), "2026-01-02T12:00:00.000005Z"),
        (NOON.astimezone(timezone(timedelta(hours=-7, minutes=30))), "2026-01-02T12:00:00.000Z"),
        ("2026-01-02T12:00:00.5Z", "2026-01-02T12:00:00.500Z"),
    ],
)
def test_times(moment: Any, written: str) -> None:
    event = message(time=moment)
    assert event.time.tzinfo is UTC
    assert json.loads(encode(event))["time"] == written
    assert event.model_dump()["time"] == event.time


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 2),
        datetime(2012, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        "2026-01-02T12:00:00+00:00",
        "2026-01-02",
        1_767_355_200,
        None,
    ],
)
def test_bad_times(moment: Any) -> None:
    with pytest.raises(ValidationError):
        message(time=moment)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": 42},
        {"subject": "042"},
        {"id": ""},
        {"id": 1},
        {"type": "botpulse.message.sent.v1"},
        {"specversion": "0.3"},
        {"data": {"kind": "text", "length": "3"}},
        {"data": {"kind": "text", "length": True}},
        {"data": {"kind": "text", "length": 3.0}},
        {"data": {"kind": "nonsense"}},
        {"data": {}},
        {"data": None},
    ],
)
def test_python_is_as_strict_as_the_wire(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        message(**changes)
    assert "input_value" not in str(caught.value)


def test_data_may_be_a_dictionary() -> None:
    assert message(data={"kind": "photo", "length": 3}).data == MessageData(kind="photo", length=3)


def test_events_do_not_change() -> None:
    event = message()
    with pytest.raises(ValidationError, match="frozen"):
        event.id = "2"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        event.data.kind = "photo"  # type: ignore[misc]


def test_a_content_item_is_its_subject() -> None:
    data = ContentItemData(content_id="x", content_type="photo", price_cents=5)
    event = ContentPublished(id="1", source="s", subject="content:x", time=NOON, data=data)
    assert key_of(event) == b"content:x"
    with pytest.raises(ValidationError, match="content:<content_id>"):
        ContentPublished(id="1", source="s", subject="content:y", time=NOON, data=data)


def test_null_and_absent_stay_apart() -> None:
    data = UserProfileChangedData(username=None, first_name="Ada")
    event = UserProfileChanged(id="1", source="s", subject="42", time=NOON, data=data)
    assert json.loads(encode(event))["data"] == {"username": None, "first_name": "Ada"}
    decoded = DECODER.decode(record(encode(event)))
    assert decoded == event
    assert isinstance(decoded, UserProfileChanged)
    assert decoded.data.model_fields_set == {"username", "first_name"}


def test_details_keep_their_types() -> None:
    details: dict[str, Any] = {"flag": True, "whole": 1, "huge": 10**30, "broken": 1.0, "text": "1"}
    data = AdminActionTakenData(action="x", details=details)
    event = AdminActionTaken(id="1", source="s", subject="42", time=NOON, data=data)
    decoded = DECODER.decode(record(encode(event)))
    assert isinstance(decoded, AdminActionTaken)
    assert decoded.data.details is not None
    assert [type(value) for value in decoded.data.details.values()] == [bool, int, int, float, str]
    with pytest.raises(ValidationError):
        AdminActionTakenData(action="x", details={"number": float("nan")})


def test_other_times_follow_the_wire_form() -> None:
    data = SubscriptionData(subscription_id="s", expires_at=datetime(1999, 1, 1, tzinfo=UTC))
    assert data.model_dump_json(exclude_unset=True) == (
        '{"subscription_id":"s","expires_at":"1999-01-01T00:00:00.000Z"}'
    )


def test_what_no_reader_would_take_is_not_written() -> None:
    beyond = CreditsGrantedData(credits=1_000_001, reason="admin")
    with pytest.raises(InvalidEvent) as caught:
        encode(CreditsGranted(id="1", source="s", subject="42", time=NOON, data=beyond))
    assert caught.value.reason is Reason.LIMIT
    with pytest.raises(InvalidEvent) as caught:
        encode(message(id="a\0b"))
    assert caught.value.reason is Reason.SYNTAX
    details: dict[str, Any] = {str(number): "x" * 500 for number in range(600)}
    data = AdminActionTakenData(action="x", details=details)
    large = AdminActionTaken(id="1", source="s", subject="42", time=NOON, data=data)
    with pytest.raises(InvalidEvent) as caught:
        encode(large)
    assert caught.value.reason is Reason.TOO_LARGE
    with pytest.raises(ValidationError):
        message(id="\ud800")
