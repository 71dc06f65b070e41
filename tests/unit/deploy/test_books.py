"""The simulator's books on logs so small that the right answers are known by hand."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from deploy.simulate.books import Books, tier_for

USER = "42"
_ids = count()


def event(
    kind: str, time: str, data: dict[str, Any] | None = None, *, user: str = USER, **envelope: str
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{next(_ids)}",
        "source": "/bots/test",
        "type": f"botpulse.{kind}.v1",
        "subject": user,
        "time": time if "T" in time else f"2026-01-02T{time}Z",
        "data": data or {},
        **envelope,
    }


def paid(time: str, cents: int, charge: str = "ch", **more: Any) -> dict[str, Any]:
    envelope = {name: more.pop(name) for name in ("id", "source", "user") if name in more}
    data = {"charge_id": charge, "provider": "stripe", "method": "card", "amount_cents": cents, **more}
    return event("payment.succeeded", time, data, **envelope)


def refunded(time: str, cents: int, refund: str = "re", charge: str = "ch", **more: Any) -> dict[str, Any]:
    data = {"charge_id": charge, "provider": "stripe", "refund_id": refund, "amount_cents": cents, **more}
    return event("payment.refunded", time, data)


def refund_failed(time: str, refund: str = "re", charge: str = "ch") -> dict[str, Any]:
    return event("payment.refund_failed", time, {"charge_id": charge, "provider": "stripe", "refund_id": refund})


def opened(time: str, dispute: str = "dp", charge: str = "ch", cents: int = 999) -> dict[str, Any]:
    data = {"charge_id": charge, "provider": "stripe", "dispute_id": dispute, "amount_cents": cents}
    return event("payment.dispute_opened", time, data)


def closed(time: str, outcome: str, dispute: str = "dp", charge: str = "ch") -> dict[str, Any]:
    data = {"charge_id": charge, "provider": "stripe", "dispute_id": dispute, "outcome": outcome}
    return event("payment.dispute_closed", time, data)


def kept(*events: dict[str, Any]) -> dict[str, Any]:
    books = Books()
    for each in events:
        books.event(each)
    return books.report()


def money(report: dict[str, Any], user: str = USER) -> tuple[int, int]:
    return report["users"][user]["spent_cents"], report["users"][user]["purchases"]


XTR = {"currency": "XTR"}


@pytest.mark.parametrize(
    ("events", "spent", "status"),
    [
        pytest.param([paid("10:00:00", 999)], 999, "settled", id="paid"),
        pytest.param([paid("10:00:00", 999), refunded("11:00:00", 400)], 599, "partially_refunded", id="part"),
        pytest.param([refunded("11:00:00", 999), paid("10:00:00", 999)], 0, "refunded", id="refund first"),
        pytest.param(
            [paid("10:00:00", 999), refunded("11:00:00", 600), refunded("12:00:00", 600, "re2")],
            0,
            "refunded",
            id="more than all",
        ),
        pytest.param(
            [paid("10:00:00", 999), refunded("11:00:00", 999), refund_failed("12:00:00")],
            999,
            "settled",
            id="refund failed",
        ),
        pytest.param(
            [refund_failed("12:00:00"), paid("10:00:00", 999), refunded("11:00:00", 999)],
            999,
            "settled",
            id="failure first",
        ),
        pytest.param(
            [
                paid("10:00:00", 130, original={"amount_minor": 100, **XTR}),
                refunded("11:00:00", 64, "re1", original={"amount_minor": 50, **XTR}),
                refunded("12:00:00", 64, "re2", original={"amount_minor": 50, **XTR}),
            ],
            0,
            "refunded",
            id="whole in stars, two cents left",
        ),
        pytest.param(
            [
                paid("10:00:00", 130, original={"amount_minor": 100, **XTR}),
                refunded("11:00:00", 64, original={"amount_minor": 100, "currency": "EUR"}),
            ],
            66,
            "partially_refunded",
            id="another currency sums to nothing",
        ),
        pytest.param([paid("10:00:00", 999), opened("11:00:00")], 999, "disputed", id="open dispute takes nothing"),
        pytest.param([paid("10:00:00", 999), opened("11:00:00"), closed("12:00:00", "won")], 999, "settled", id="won"),
        pytest.param([closed("12:00:00", "lost"), paid("10:00:00", 999)], 0, "dispute_lost", id="lost, never opened"),
        pytest.param(
            [paid("10:00:00", 999), closed("13:00:00", "won"), closed("12:00:00", "lost")],
            999,
            "settled",
            id="latest closing counts",
        ),
        pytest.param(
            [paid("10:00:00", 999), closed("12:00:00", "won"), closed("13:00:00", "lost", "dp2")],
            0,
            "dispute_lost",
            id="any lost",
        ),
        pytest.param(
            [paid("10:00:00", 999), refunded("11:00:00", 99), opened("11:00:00")],
            900,
            "disputed",
            id="disputed beats part",
        ),
        pytest.param([paid("10:00:00", 999), refunded("11:00:00", 9, charge="other")], 999, "settled", id="orphan"),
    ],
)
def test_the_remainder_of_a_charge(events: list[dict[str, Any]], spent: int, status: str) -> None:
    report = kept(*events)
    assert money(report) == (spent, 1 if spent else 0)
    assert [payment["settlement_status"] for payment in report["payments"]] == [status]


def test_a_refund_of_another_users_charge_takes_nothing() -> None:
    foreign = refunded("11:00:00", 999) | {"subject": "43"}
    report = kept(paid("10:00:00", 999), foreign)
    assert money(report) == (999, 1)
    assert money(report, "43") == (0, 0)


def test_one_charge_id_of_two_providers_is_two_charges() -> None:
    assert money(kept(paid("10:00:00", 100), paid("10:00:00", 200, provider="other"))) == (300, 2)


def test_the_same_event_counts_once() -> None:
    message = event("message.received", "10:00:00", {"kind": "text"})
    report = kept(message, message, {**message, "time": "2026-01-02T10:00:00.000000Z"})
    assert report["users"][USER]["messages"] == 1
    assert report["counts"]["duplicates"] == 2


def test_the_same_id_at_another_time_or_from_another_source_is_another_event() -> None:
    message = event("message.received", "10:00:00", {"kind": "text"})
    report = kept(message, {**message, "time": "2026-01-02T10:00:01Z"}, {**message, "source": "/bots/other"})
    assert report["users"][USER]["messages"] == 3


def test_an_earlier_copy_of_a_charge_moves_its_day_and_its_session() -> None:
    report = kept(paid("2026-01-03T00:10:00Z", 999), paid("2026-01-02T23:50:00Z", 999, source="/again"))
    assert money(report) == (999, 1)
    assert report["days"]["2026-01-02"]["revenue_cents"] == 999
    assert "2026-01-03" not in report["days"]
    assert [session["session_start"] for session in report["sessions"]] == ["2026-01-02T23:50:00.000000Z"]
    assert report["users"][USER]["last_active"] == "2026-01-02T23:50:00.000000Z"
    assert report["counts"]["copies"] == 1


def test_of_copies_at_one_time_the_smaller_source_then_id_supplies_the_fields() -> None:
    later, earlier = paid("10:00:00", 5, method="bank", source="/b"), paid("10:00:00", 5, source="/a")
    assert kept(later, earlier)["payments"][0]["payment_method_type"] == "card"
    assert kept(earlier, later)["payments"][0]["payment_method_type"] == "card"


def test_of_two_amounts_the_first_in_the_log_stands() -> None:
    report = kept(paid("10:00:00", 999), paid("09:00:00", 500), paid("08:00:00", 999))
    assert money(report) == (999, 1)
    assert report["counts"]["conflicts"] == 1
    # The conflict counts nowhere; the copy of the standing amount supplies the time.
    assert report["users"][USER]["last_active"] == "2026-01-02T08:00:00.000000Z"
    assert report["days"]["2026-01-02"]["successful_payments"] == 1


def test_conflicting_refunds_and_attempts() -> None:
    failed = {"provider": "stripe", "method": "card", "attempt_id": "at", "failure_code": "declined"}
    report = kept(
        paid("10:00:00", 999),
        refunded("11:00:00", 100),
        refunded("12:00:00", 900),
        event("payment.failed", "10:00:00", {**failed, "amount_cents": 5}),
        event("payment.failed", "11:00:00", {**failed, "amount_cents": 6}),
        event("payment.failed", "09:00:00", {**failed, "amount_cents": 5}),
    )
    assert money(report) == (899, 1)
    assert report["counts"]["conflicts"] == 2
    assert report["days"]["2026-01-02"]["failed_payments"] == 1


def test_credits_are_grants_less_spends_and_may_be_negative() -> None:
    spend = event("credits.spent", "10:00:00", {"credits": 3, "reason": "message"})
    grant = event("credits.granted", "09:00:00", {"credits": 10, "reason": "bonus"})
    assert kept(spend)["users"][USER]["credits"] == -3
    assert kept(spend, grant)["users"][USER]["credits"] == 7
    # Credits named in a payment are no grant.
    assert kept(paid("10:00:00", 999, credits=100))["users"][USER]["credits"] == 0


def test_sessions_end_after_half_an_hour_and_run_over_midnight() -> None:
    def message(time: str) -> dict[str, Any]:
        return event("message.received", time, {"kind": "text"})

    report = kept(
        message("2026-01-03T00:15:00Z"),
        message("2026-01-02T23:45:00Z"),  # exactly half an hour before
        event("credits.spent", "2026-01-03T00:16:00Z", {"credits": 2, "reason": "message"}),
        event("message.sent", "2026-01-03T00:40:00Z", {"kind": "text"}),  # nobody's own action
        message("2026-01-03T00:46:00.000001Z"),  # a microsecond too late
        paid("2026-01-03T00:47:00Z", 100),
    )
    first, second = report["sessions"]
    assert first == {
        "telegram_id": USER,
        "session_start": "2026-01-02T23:45:00.000000Z",
        "session_end": "2026-01-03T00:16:00.000000Z",
        "time_spent_seconds": 1860.0,
        "messages_in_session": 2,
        "credits_spent": 2,
        "purchases_in_session": 0,
    }
    assert (second["messages_in_session"], second["purchases_in_session"]) == (1, 1)
    assert report["days"]["2026-01-02"]["active_users"] == report["days"]["2026-01-03"]["active_users"] == 1


def test_daily_money() -> None:
    report = kept(
        paid("2026-01-02T10:00:00Z", 1000),
        paid("2026-01-02T11:00:00Z", 500, "ch2"),
        refunded("2026-01-03T10:00:00Z", 300),
        refunded("2026-01-03T11:00:00Z", 70, "lone", "unknown"),  # of a charge that nobody knows
        opened("2026-01-04T10:00:00Z"),
        opened("2026-01-04T11:00:00Z", "dp9", "unknown"),
        closed("2026-01-05T10:00:00Z", "lost"),
        refunded("2026-01-06T10:00:00Z", 100, "re2"),
    )
    days = report["days"]
    assert days["2026-01-02"]["revenue_cents"] == 1500
    assert days["2026-01-03"]["refunded_cents"] == 300
    assert days["2026-01-04"]["new_disputes"] == 2
    # The refund after the loss is one of all refunds.
    assert days["2026-01-05"]["dispute_lost_cents"] == 600
    assert days["2026-01-06"]["net_revenue_cents"] == -100
    assert money(report) == (500, 1)
    assert sum(day["net_revenue_cents"] for day in days.values()) == 500


def test_registration_once_by_its_earliest_time_and_never_by_oneself() -> None:
    report = kept(
        event("user.registered", "2026-01-04T10:00:00Z", {"referred_by": 77}),
        event("user.registered", "2026-01-03T10:00:00Z", {"referred_by": 42}),
        event("message.sent", "2026-01-02T10:00:00Z", {"kind": "text"}),
    )
    user = report["users"][USER]
    assert user["registered_at"] == "2026-01-03T10:00:00.000000Z"
    assert user["referred_by"] == "77"
    assert user["last_active"] is None
    assert {date: day["new_users"] for date, day in report["days"].items()} == {"2026-01-02": 0, "2026-01-03": 1}


def test_blocking_goes_by_time_then_by_the_log() -> None:
    blocked, unblocked = event("user.bot_blocked", "10:00:00"), event("user.bot_unblocked", "09:00:00")
    assert kept(blocked, unblocked)["users"][USER]["is_blocked"] is True
    same_time = event("user.bot_unblocked", "10:00:00")
    assert kept(blocked, same_time)["users"][USER]["is_blocked"] is False


def test_content_by_its_latest_words_and_all_that_was_done() -> None:
    def told(kind: str, time: str, user: str = USER, **data: Any) -> dict[str, Any]:
        return event(f"content.{kind}", time, {"content_id": "c", **data}, user=user)

    about = {"content_type": "photo", "price_cents": 100}
    report = kept(
        told("unlocked", "09:00:00", price_cents=70, paid_with="free"),
        told("changed", "12:00:00", "content:c", **about, title=None),
        told("published", "10:00:00", "content:c", **{**about, "price_cents": 50, "title": "T", "price_credits": 5}),
        told("unlocked", "11:00:00", price_cents=100, paid_with="credits"),
        told("unlocked", "11:00:00", "43", price_cents=100, paid_with="payment"),
        told("viewed", "11:00:00"),
        told("offered", "08:00:00"),
    )
    assert report["content"]["c"] == {
        "content_type": "photo", "title": None, "price_cents": 100, "price_credits": 5, "offers": 1, "views": 1,
        "first_fact_at": "2026-01-02T08:00:00.000000Z", "unlocks": 3, "unique_buyers": 2, "revenue_cents": 270,
    }  # fmt: skip


def test_messages_by_pattern_and_what_each_user_prefers() -> None:
    def wrote(time: str, kind: str) -> dict[str, Any]:
        return event("message.received", time, {"kind": kind})

    report = kept(
        wrote("2026-01-05T09:00:00Z", "voice"), wrote("2026-01-04T09:59:59Z", "command"), wrote("10:00:00", "photo")
    )
    assert report["patterns"] == {
        "1 9 voice": {"messages": 1}, "5 10 photo": {"messages": 1}, "7 9 command": {"messages": 1}
    }  # fmt: skip
    assert report["preferences"][USER] == {
        "preferred_kind": "command", "preferred_hour": 9, "command_share": 0.3333, "messages": 3
    }  # fmt: skip


def test_hours_count_each_fact_at_the_time_that_stands() -> None:
    report = kept(
        paid("10:30:00", 999),
        paid("11:30:00", 999, source="/again"),
        paid("10:45:00", 5),  # in conflict
        refunded("12:00:00", 5, "r1"),
        refunded("12:59:59.999999", 5, "r2"),
        refund_failed("13:00:00", "r1"),
        event("message.sent", "13:10:00", {"kind": "text"}),
        event("admin.action_taken", "13:20:00", {"action": "noted"}),
    )
    filled = {hour[11:13]: {c: n for c, n in row.items() if n} for hour, row in report["hours"].items()}
    assert filled == {
        "10": {"events": 1, "payments": 1},
        "11": {"events": 1},
        "12": {"events": 2, "refunds": 1},
        "13": {"events": 3, "messages_sent": 1, "admin_actions": 1},
    }


def test_what_comes_before_a_purchase_gets_all_of_it_once() -> None:
    report = kept(
        event("content.offered", "09:30:00", {"content_id": "c"}),
        event("message.received", "09:29:59.999999", {"kind": "text"}),
        event("content.viewed", "10:00:00", {"content_id": "c"}),
        event("content.offered", "09:50:00", {"content_id": "c"}, user="43"),
        paid("10:00:00", 100),
        paid("10:10:00", 10, "ch2"),
    )
    assert report["triggers"] == {
        "content.offered": {"purchases": 1, "revenue_cents": 100},
        "content.viewed": {"purchases": 1, "revenue_cents": 10},
        "payment.succeeded": {"purchases": 1, "revenue_cents": 10},
    }


def test_what_is_refused_counts_nowhere() -> None:
    books = Books()
    books.refused("syntax")
    report = books.report()
    assert report["users"] == {}
    assert report["days"] == {}
    assert report["counts"]["refused_by_reason"] == {"syntax": 1}


@pytest.mark.parametrize(
    ("purchases", "cents", "tier"),
    [
        (0, 0, "new"), (2, 999, "new"), (3, 0, "regular"), (0, 1000, "regular"), (9, 4999, "regular"),
        (10, 0, "vip"), (1, 5000, "vip"), (19, 9999, "vip"), (20, 0, "premium"), (1, 10_000, "premium"),
    ],
)  # fmt: skip
def test_tiers(purchases: int, cents: int, tier: str) -> None:
    assert tier_for(purchases, cents) == tier
