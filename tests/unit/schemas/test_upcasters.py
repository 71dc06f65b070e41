"""Older versions become the newest by pure steps, and every reader sees only the newest."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from schemas.events import BotEvent, OlderEvent, SubscriptionCancelled, SubscriptionCancelledV1
from schemas.upcasters import UPCASTERS, upcast

from .support import DECODER, as_sent, example, record

V1 = "botpulse.subscription.cancelled.v1"


def test_every_older_version_has_a_step_and_no_newest_has_one() -> None:
    older = get_args(OlderEvent) or (OlderEvent,)
    assert set(UPCASTERS) == set(older)
    assert not set(UPCASTERS) & set(get_args(BotEvent))


@pytest.mark.parametrize("name", ["full", "minimal"])
def test_what_an_older_version_says_is_kept(name: str) -> None:
    document = example(V1, name)
    event = DECODER.decode(record(document))
    assert isinstance(event, SubscriptionCancelled)
    sent = as_sent(document)
    assert (event.id, event.source, event.subject, event.time) == (sent.id, sent.source, sent.subject, sent.time)
    assert event.datacontenttype == sent.datacontenttype
    assert event.data.subscription_id == document["data"]["subscription_id"]
    assert event.data.plan == document["data"].get("plan")
    # The step is pure: the event that it was given is as it was.
    before = sent.model_dump_json()
    assert upcast(sent) == upcast(sent) == event
    assert sent.model_dump_json() == before


@pytest.mark.parametrize(
    ("expires_at", "effective"),
    [("2026-02-02T03:04:05Z", "period_end"), ("2026-01-02T03:04:05Z", "now"), (None, "now"), ("absent", "now")],
)
def test_when_a_cancellation_of_version_1_takes_effect(expires_at: str | None, effective: str) -> None:
    document = example(V1)
    document["data"]["expires_at"] = expires_at
    if expires_at == "absent":
        del document["data"]["expires_at"]
    event = DECODER.decode(record(document))
    assert isinstance(event, SubscriptionCancelled)
    assert event.data.effective == effective
    assert ("expires_at" in event.data.model_fields_set) == (expires_at != "absent")


def test_each_version_is_judged_by_its_own_rule() -> None:
    for version, member in (("v1", "effective"), ("v2", "amount_cents")):
        document = example(f"botpulse.subscription.cancelled.{version}")
        document["data"][member] = -1  # unknown to that version, and so ignored
        DECODER.decode(record(json.dumps(document)))
    sent = as_sent(example(V1))
    assert isinstance(sent, SubscriptionCancelledV1)
    assert sent.data.amount_cents == 999
