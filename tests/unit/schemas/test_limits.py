"""Business limits, at their bounds and over time."""

from __future__ import annotations

import pytest

from schemas import limits as limits_module
from schemas.codec import Decoder
from schemas.envelope import check_limits
from schemas.errors import InvalidEvent
from schemas.events import EVENT_TYPES, PaymentSucceeded
from schemas.limits import ALL_LIMITS, CURRENT_LIMITS, limits_at
from schemas.reasons import Reason

from .support import BROKER_MS, DECODER, PARTITIONS, as_sent, example, record, with_raw

PRICE, RECHARGE, CREDITS, PAYMENT = (0, 100_000), (100, 50_000), (0, 1_000_000), (0, 1_000_000)
CASES = [
    *((f"content.{fact}", "price_cents", PRICE) for fact in ("published", "changed", "unlocked")),
    *((f"content.{fact}", "price_credits", CREDITS) for fact in ("published", "changed")),
    *((f"auto_recharge.{fact}", "amount_cents", RECHARGE) for fact in ("configured", "triggered")),
    *(
        (name, "credits", CREDITS)
        for name in (
            "credits.granted",
            "credits.spent",
            "payment.succeeded",
            "auto_recharge.configured",
            "auto_recharge.triggered",
            "content.unlocked",
        )
    ),
    ("auto_recharge.configured", "threshold_credits", CREDITS),
    *((f"payment.{fact}", "amount_cents", PAYMENT) for fact in ("succeeded", "failed", "refunded", "dispute_opened")),
    *(
        (f"subscription.{fact}", "amount_cents", PAYMENT)
        for fact in ("started", "renewed", "cancelled", "payment_failed")
    ),
]


def test_the_table_is_complete() -> None:
    limited = {"price_cents", "price_credits", "credits", "threshold_credits", "amount_cents"}
    members = {
        (name.removeprefix("botpulse.").removesuffix(".v1"), member)
        for name, event_class in EVENT_TYPES.items()
        for member in getattr(event_class.model_fields["data"].annotation, "model_fields", {})
    }
    assert {(name, member) for name, member in members if member in limited} == {
        (name, member) for name, member, _ in CASES
    }


@pytest.mark.parametrize(("name", "member", "bounds"), CASES)
def test_bounds(name: str, member: str, bounds: tuple[int, int]) -> None:
    document = example(f"botpulse.{name}.v1")
    lowest, highest = bounds
    for number in (max(lowest, 1), highest):
        check_limits(DECODER.decode(record(with_raw(document, ["data", member], str(number)))), CURRENT_LIMITS)
    beyond = [highest + 1, 10**30]
    if lowest:
        beyond += [lowest - 1, 0]
    for number in beyond:
        with pytest.raises(InvalidEvent) as caught:
            DECODER.decode(record(with_raw(document, ["data", member], str(number))))
        assert caught.value.reason is Reason.LIMIT
        assert caught.value.detail.startswith(f"data.{member} is ")
        assert str(number) not in caught.value.detail.split()


def test_versions_follow_each_other() -> None:
    assert [limits.version for limits in ALL_LIMITS] == list(range(1, len(ALL_LIMITS) + 1))
    assert ALL_LIMITS[-1] is CURRENT_LIMITS
    assert limits_at(-1) is limits_at(0) is ALL_LIMITS[0]


def test_a_new_version_changes_no_earlier_record(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = CURRENT_LIMITS._replace(version=2, from_ms=BROKER_MS, payment_cents_max=500)
    versions = (*ALL_LIMITS, newer)
    assert limits_at(BROKER_MS - 1, versions) is CURRENT_LIMITS
    assert limits_at(BROKER_MS, versions) is newer
    monkeypatch.setattr(limits_module.limits_at, "__defaults__", (versions,))
    decoder = Decoder(PARTITIONS)
    payment = example("botpulse.payment.succeeded.v1", "contract")
    for timestamp, accepted in [(BROKER_MS - 1, True), (BROKER_MS, False), (BROKER_MS - 2, True)]:
        if accepted:
            decoder.decode(record(payment, timestamp=timestamp))
        else:
            with pytest.raises(InvalidEvent, match=r"above 500"):
                decoder.decode(record(payment, timestamp=timestamp))


def test_building_an_event_in_python_names_the_limit_and_reading_one_does_not() -> None:
    document = example("botpulse.payment.succeeded.v1")
    document["data"]["amount_cents"] = CURRENT_LIMITS.payment_cents_max + 1
    with pytest.raises(InvalidEvent, match=f"data.amount_cents is above {CURRENT_LIMITS.payment_cents_max}"):
        PaymentSucceeded(**document)
    # A record is measured by the limits of its own broker time, which may have been wider.
    assert as_sent(document).data.amount_cents == CURRENT_LIMITS.payment_cents_max + 1  # type: ignore[union-attr]
