"""The tracker: who is new, what changed, the same update twice, and errors that stay away from the bot."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest

from schemas.publisher import Publisher
from schemas.rates import Rates
from schemas.telegram import NEEDED_UPDATES, Options, Tracker, missing_updates, ref_payload, with_needed
from tests.support.spooling import brief, spooled, spooling
from tests.support.updates import (
    TIME,
    USER,
    callback,
    command,
    message,
    paid,
    paid_media,
    subscription,
    update,
)

ADA = {"username": "ada", "first_name": "Ada", "language": "en", "is_premium": False}


async def take(publisher: Publisher, *updates: Any, options: Options | None = None) -> Tracker:
    tracker = Tracker(publisher, options)
    for content in updates:
        tracker.take(content)
    await tracker.drain()
    return tracker


async def test_a_user_is_registered_at_first_sight_and_changes_are_told_once(tmp_path: Path) -> None:
    renamed = {**USER, "username": "countess", "language_code": None, "is_premium": True}
    async with spooling(tmp_path / "spool.db") as publisher:
        await take(publisher, update(1, message=message(text="hi")), update(2, message=message(text="again")))
        # A new process remembers.
        await take(publisher, update(3, message=message(text="hi", **{"from": renamed})))
        await take(publisher, update(4, message=message(text="hi", **{"from": renamed})))
        events = await spooled(publisher)
    assert [brief(event)[0] for event in events] == [
        "user.registered",
        "message.received",
        "message.received",
        "user.profile_changed",
        "message.received",
        "message.received",
    ]
    assert events[0]["data"] == ADA
    assert events[3]["data"] == {"username": "countess", "language": None, "is_premium": True}
    assert {event["time"] for event in events} == {TIME}
    assert events[0]["id"] == "update:1:user.registered"


@pytest.mark.parametrize(
    ("text", "referrer"),
    [("/start ref_77", 77), ("/start", None), ("/start promo", None), ("/start ref_123456789", None)],
)
async def test_who_referred_a_new_user(tmp_path: Path, text: str, referrer: int | None) -> None:
    async with spooling(tmp_path / "spool.db") as publisher:
        await take(publisher, update(1, message=command(text)), options=Options(referrer=ref_payload))
        # Known already: nobody refers them any more.
        await take(publisher, update(2, message=command("/start ref_88")), options=Options(referrer=ref_payload))
        events = await spooled(publisher)
    assert events[0]["data"].get("referred_by") == referrer
    assert [brief(event)[0] for event in events].count("user.registered") == 1


class AnHourLater(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(hours=1)


async def test_the_same_update_again_is_the_same_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    updates = [
        update(1, callback_query=callback()),
        update(2, message=message(text="hi")),
        update(3, purchased_paid_media=paid_media()),
        update(4, subscription=subscription("canceled")),
        update(5, message=paid()),
    ]
    runs = []
    for _ in range(2):
        async with spooling(tmp_path / "spool.db") as publisher:
            before = len(await spooled(publisher))
            await take(publisher, *updates)
            runs.append((await spooled(publisher))[before:])
        monkeypatch.setattr("schemas.telegram.memory.datetime", AnHourLater)
    first, second = runs
    assert [(event["id"], event["time"]) for event in first if "registered" not in event["type"]] == [
        (event["id"], event["time"]) for event in second
    ]
    assert len({event["id"] for event in first}) == len(first) == 6


async def test_what_is_published_of_a_profile_is_the_owners_choice(tmp_path: Path) -> None:
    async with spooling(tmp_path / "spool.db") as publisher:
        await take(publisher, update(1, message=message(text="hi")), options=Options(profile=()))
        events = await spooled(publisher)
    assert "data" not in events[0] or events[0]["data"] == {}
    assert "Ada" not in str(events)


async def test_money_without_a_rate_is_kept_until_there_is_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    euros = update(9, message=paid(currency="EUR", total_amount=1000))
    async with spooling(tmp_path / "spool.db") as publisher:
        tracker = await take(publisher, euros)
        assert (tracker.counts.kept, tracker.counts.errors) == (1, 1)
        assert "EUR" in caplog.text
        assert await tracker.retry_kept() == 1
    async with spooling(tmp_path / "spool.db") as publisher:
        tracker = Tracker(publisher, Options(rates=Rates({"EUR": "1.1"})))
        assert await tracker.retry_kept() == 0
        assert await tracker.retry_kept() == 0
        events = [event for event in await spooled(publisher) if "payment" in event["type"]]
    assert [(event["id"], event["data"]["amount_cents"]) for event in events] == [("update:9:payment.succeeded", 1100)]


async def test_errors_are_counted_logged_without_personal_data_and_stop_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, Any]:
        raise ValueError("Ada's secret")

    ahead = message(text="secret", date=1)  # before 2013
    async with spooling(tmp_path / "spool.db") as publisher:
        tracker = await take(
            publisher,
            update(1, message=message(text="hi")),
            broken,
            {},
            update(2, message=ahead),
            update(3, message={}),
        )
        tracker.take(update(4, message=message(text="hi")))
        await tracker.drain()
        assert len(await spooled(publisher)) == 3
    said = [record for record in caplog.records if record.name == "botpulse.telegram"]
    assert tracker.counts.errors == len(said) == 3
    assert "secret" not in caplog.text
    assert "Ada" not in caplog.text


async def test_more_updates_than_may_wait_are_counted(tmp_path: Path) -> None:
    async with spooling(tmp_path / "spool.db") as publisher:
        tracker = Tracker(publisher, queue_updates=2)
        futures = [tracker.take(update(number, message=message(text="hi"))) for number in range(5)]
        await asyncio.gather(*futures)
        assert (tracker.counts.updates, tracker.counts.errors) == (2, 3)


def test_which_updates_to_ask_for() -> None:
    assert missing_updates(None) == missing_updates([]) == []
    assert missing_updates(["message", "callback_query"]) == ["my_chat_member", "purchased_paid_media", "subscription"]
    assert missing_updates(with_needed(["poll"])) == []
    assert with_needed(["message", "poll"])[:2] == ["message", "poll"]
    assert set(with_needed([])) == set(NEEDED_UPDATES)
