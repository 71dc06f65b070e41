"""The envelope, and the record around it: key, partition, headers, broker timestamp."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.codec import Decoder, TierChangeDecoder, decode_tier_change
from schemas.errors import InvalidEvent
from schemas.events import MessageReceived, PaymentSucceeded
from schemas.partitioner import partition_of
from schemas.reasons import Reason

from .support import BROKER_MS, DECODER, PARTITIONS, TIER_DECODER, Record, example, record, with_raw

MESSAGE = example("botpulse.message.received.v1")
TIER_CHANGE = example("botpulse.tier.changed.v1")


def refusal_of(broken: Record) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        DECODER.decode(broken)
    return caught.value


@pytest.mark.parametrize(
    ("member", "raw", "reason"),
    [
        ("specversion", '"1.1"', Reason.ENVELOPE),
        ("specversion", "1.0", Reason.ENVELOPE),
        ("id", '""', Reason.ENVELOPE),
        ("id", f'"{"x" * 513}"', Reason.ENVELOPE),
        ("id", "5", Reason.ENVELOPE),
        ("id", "null", Reason.ENVELOPE),
        ("source", '""', Reason.ENVELOPE),
        ("source", f'"{"x" * 513}"', Reason.ENVELOPE),
        ("type", "null", Reason.ENVELOPE),
        ("type", "5", Reason.ENVELOPE),
        ("type", '["botpulse.message.received.v1"]', Reason.ENVELOPE),
        ("type", '""', Reason.UNKNOWN_TYPE),
        ("type", '"botpulse.message.received.v2"', Reason.UNKNOWN_TYPE),
        ("type", '"botpulse.tier.changed.v1"', Reason.UNKNOWN_TYPE),
        ("type", '"Botpulse.Message.Received.V1"', Reason.UNKNOWN_TYPE),
        ("datacontenttype", '"text/plain"', Reason.ENVELOPE),
        ("datacontenttype", '"application/jsonx"', Reason.ENVELOPE),
        ("datacontenttype", '"json"', Reason.ENVELOPE),
        ("datacontenttype", '"application/jſon"', Reason.ENVELOPE),
        ("datacontenttype", "5", Reason.ENVELOPE),
        ("subject", "123456789", Reason.ENVELOPE),
        ("subject", '""', Reason.ENVELOPE),
        ("subject", '"0"', Reason.ENVELOPE),
        ("subject", '"012"', Reason.ENVELOPE),
        ("subject", '"-5"', Reason.ENVELOPE),
        ("subject", '"+5"', Reason.ENVELOPE),
        ("subject", '"5 "', Reason.ENVELOPE),
        ("subject", '"5\\n"', Reason.ENVELOPE),
        ("subject", '"٣"', Reason.ENVELOPE),
        ("subject", f'"{2**52 + 1}"', Reason.ENVELOPE),
        ("subject", '"content:photo-7"', Reason.ENVELOPE),
        ("time", "1767323045", Reason.TIME),
        ("time", "null", Reason.TIME),
    ],
)
def test_bad_envelope(member: str, raw: str, reason: Reason) -> None:
    refused = refusal_of(record(with_raw(MESSAGE, [member], raw)))
    assert refused.reason is reason, refused


@pytest.mark.parametrize("member", ["specversion", "id", "source", "type", "subject", "time"])
def test_missing_in_the_envelope(member: str) -> None:
    document = {name: value for name, value in MESSAGE.items() if name != member}
    refused = refusal_of(record(document))
    assert refused.reason is (Reason.TIME if member == "time" else Reason.ENVELOPE)
    assert "missing" in refused.detail


@pytest.mark.parametrize(
    ("member", "raw"),
    [
        ("id", f'"{"ß" * 512}"'),
        ("source", '" "'),
        ("subject", '"1"'),
        ("subject", f'"{2**52}"'),
        ("subject", f'"{2**52 - 1}"'),
        ("datacontenttype", "null"),
        ("datacontenttype", '"text/json"'),
        ("datacontenttype", '"Application/JSON; charset=utf-8"'),
        ("datacontenttype", '"application/vnd.bot+json"'),
        ("traceparent", '{"any":["thing",null,1.5]}'),
    ],
)
def test_good_envelope(member: str, raw: str) -> None:
    DECODER.decode(record(with_raw(MESSAGE, [member], raw)))


def test_every_telegram_id_up_to_the_bound_and_none_beyond() -> None:
    for power in range(53):
        for number in (2**power - 1, 2**power, 2**power + 1):
            right = record({**MESSAGE, "subject": str(number)})
            if 1 <= number <= 2**52:
                event = DECODER.decode(right)
                assert isinstance(event, MessageReceived)
                assert event.telegram_id == number
            else:
                assert refusal_of(right).reason is Reason.ENVELOPE


@pytest.mark.parametrize("event_type", ["botpulse.content.published.v1", "botpulse.content.changed.v1"])
@pytest.mark.parametrize(
    ("subject", "content_id", "good"),
    [
        ("content:x", "x", True),
        ("content:content:x", "content:x", True),
        ("content:" + "ß" * 512, "ß" * 512, True),
        ("content:x", "y", False),
        ("content: x", "x", False),
        ("Content:x", "x", False),
        ("content:", "", False),
        ("x", "x", False),
        ("123456789", "123456789", False),
        ("content:" + "x" * 513, "x" * 513, False),
    ],
)
def test_a_content_item_is_its_subject(event_type: str, subject: str, content_id: str, good: bool) -> None:
    document = example(event_type)
    document["subject"] = subject
    document["data"]["content_id"] = content_id
    if good:
        assert DECODER.decode(record(document)).subject == subject
    else:
        assert refusal_of(record(document)).reason in (Reason.ENVELOPE, Reason.DATA)


@pytest.mark.parametrize(
    "text",
    [
        "2013-01-01T00:00:00Z",
        "2016-02-29T23:59:59.999999Z",
        "2026-01-02T03:04:05.6Z",
        "2026-01-02T03:04:05.000001Z",
    ],
)
def test_good_times(text: str) -> None:
    event = DECODER.decode(record({**MESSAGE, "time": text}))
    assert event.time == datetime.fromisoformat(text)
    assert event.time.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "2012-12-31T23:59:59.999999Z",
        "1767323045",
        "2026-01-02",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05z",
        "2026-01-02t03:04:05Z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05.1234567Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:00Z",
        "2026-01-02T03:04:60Z",
        "2026-02-29T03:04:05Z",
        "2026-13-01T03:04:05Z",
        "2026-00-01T03:04:05Z",
        "2026-W01-5T03:04:05Z",
        "20260102T030405Z",
        "2026-01-02T03:04:05ZZ",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n",
        "２０２６-01-02T03:04:05Z",
        "2026-01-02T03:04:0٣Z",
        "12026-01-02T03:04:05Z",
        "",
    ],
)
def test_bad_times(text: str) -> None:
    assert refusal_of(record({**MESSAGE, "time": text})).reason is Reason.TIME


def test_at_most_a_day_ahead_of_the_broker() -> None:
    on_time = {**MESSAGE, "time": "2026-01-03T03:04:06Z"}
    late = {**MESSAGE, "time": "2026-01-03T03:04:06.000001Z"}
    DECODER.decode(record(on_time))
    assert refusal_of(record(late)).reason is Reason.TIME
    DECODER.decode(record(late, timestamp=BROKER_MS + 1))
    assert refusal_of(record(on_time, timestamp=BROKER_MS - 1)).reason is Reason.TIME


@pytest.mark.parametrize("timestamp", [2**63 - 1, 253_402_300_799_999])
def test_any_late_broker_timestamp(timestamp: int) -> None:
    DECODER.decode(record({**MESSAGE, "time": "9999-12-31T23:59:59Z"}, timestamp=timestamp))


@pytest.mark.parametrize("timestamp", [-1, 0, -(2**63)])
def test_a_record_without_a_broker_time_is_refused(timestamp: int) -> None:
    assert refusal_of(record(MESSAGE, timestamp=timestamp)).reason is Reason.TIME


@pytest.mark.parametrize("key", [None, b"", b"0123456789", b"123456789 ", b"987654321", b"\xff"])
def test_the_key_is_the_subject(key: bytes | None) -> None:
    assert refusal_of(record(MESSAGE, key=key)).reason is Reason.KEY


def test_the_partition_is_the_keys() -> None:
    right = partition_of(b"123456789", PARTITIONS)
    for partition in range(-1, PARTITIONS + 1):
        if partition == right:
            DECODER.decode(record(MESSAGE, partition=partition))
        else:
            assert refusal_of(record(MESSAGE, partition=partition)).reason is Reason.PARTITION


def test_a_topic_has_partitions() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Decoder(0)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        [],
        [("content-type", b"application/cloudevents+json; charset=UTF-8")],
        [("content-type", b"application/cloudevents+json")],
        [("Content-Type", b"APPLICATION/CloudEvents+JSON;charset=utf-8")],
        [("content-type", b'application/cloudevents+json ; charset="utf-8"')],
        [("redrive-of", b"bot.events/3/17")],
        [("traceparent", b"\xff\x00"), ("empty", None)],
    ],
)
def test_good_headers(headers: Any) -> None:
    DECODER.decode(record(MESSAGE, headers=headers))


@pytest.mark.parametrize(
    "headers",
    [
        [("content-type", b"application/json")],
        [("content-type", b"")],
        [("content-type", None)],
        [("content-type", b"\xff")],
        [("content-type", b"application/cloudevents")],
        [("content-type", b"application/cloudevents-batch+json")],
        [("content-type", b"application/cloudevents+json; charset=latin-1")],
        [("content-type", b"application/cloudevents+json"), ("content-type", b"text/plain")],
        [("ce_id", b"1")],
        [("content-type", b"application/cloudevents+json; charset=UTF-8"), ("ce_specversion", b"1.0")],
        [("ce_", None)],
    ],
)
def test_bad_headers(headers: Any) -> None:
    assert refusal_of(record(MESSAGE, headers=headers)).reason is Reason.CONTENT_TYPE
    # In binary mode the value is the data alone: what is said is that it is the wrong mode.
    assert refusal_of(record(b"\xff", headers=headers)).reason is Reason.CONTENT_TYPE


def test_tier_changes_follow_the_same_rule() -> None:
    change = TIER_DECODER.decode(record(TIER_CHANGE))
    assert change.telegram_id == 123456789
    elsewhere = record(TIER_CHANGE, partition=PARTITIONS)
    assert decode_tier_change(elsewhere) == TierChangeDecoder().decode(elsewhere) == change
    for broken, reason in [
        (elsewhere, Reason.PARTITION),
        (record(TIER_CHANGE, key=b"1"), Reason.KEY),
        (record(MESSAGE), Reason.UNKNOWN_TYPE),
        (record({k: v for k, v in TIER_CHANGE.items() if k != "type"}), Reason.ENVELOPE),
        (record(with_raw(TIER_CHANGE, ["data", "purchases"], "-1")), Reason.DATA),
        (record(with_raw(TIER_CHANGE, ["data", "benefits"], '{"anna":1.5}')), Reason.DATA),
        (record(b"{"), Reason.SYNTAX),
    ]:
        with pytest.raises(InvalidEvent) as caught:
            TIER_DECODER.decode(broken)
        assert caught.value.reason is reason
        assert "anna" not in caught.value.detail


def test_a_detail_never_quotes_what_was_sent() -> None:
    payment = example("botpulse.payment.succeeded.v1")
    action = example("botpulse.admin.action_taken.v1")
    secret = "Anna-Karenina"
    for document, path in [
        (payment, ["id"]),
        (payment, ["type"]),
        (payment, ["subject"]),
        (payment, ["time"]),
        (payment, ["datacontenttype"]),
        (payment, ["data", "provider"]),
        (payment, ["data", "amount_cents"]),
        (payment, ["data", "original"]),
    ]:
        raw = f'"{secret * 50}"' if path == ["id"] else f'"{secret}"'
        assert secret not in str(refusal_of(record(with_raw(document, path, raw))))
    for raw in (f'{{"{secret}":[]}}', f'{{"x":["{secret}"]}}', f'{{"{secret * 50}":1}}'):
        assert secret not in str(refusal_of(record(with_raw(action, ["data", "details"], raw))))
    assert secret not in str(refusal_of(record(f'{{"{secret}": {secret}}}')))


def test_what_was_sent_is_known() -> None:
    event = DECODER.decode(record(example("botpulse.payment.succeeded.v1", "contract")))
    assert isinstance(event, PaymentSucceeded)
    assert event.data.model_fields_set == {"charge_id", "provider", "method", "amount_cents", "credits"}
    assert event.time == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert (event.telegram_id, event.data.amount_cents, event.data.purpose) == (123456789, 999, None)
