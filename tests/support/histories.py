"""Random histories in which identities, times and amounts collide often."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from schemas.events import BotEvent
from tests.support.folding import at, event

USERS = (1, 2, 3)


def _times(spread: int) -> SearchStrategy[Any]:
    # Steps of 15 minutes and a second hit the session's gap exactly, just under it and just over it.
    return st.builds(
        lambda quarters, seconds: at(quarters * 15 + seconds / 60),
        st.integers(-spread, spread),
        st.sampled_from([0, 0, 0, 1, -1]),
    )


def originals(draw: DrawFn) -> Any:
    return draw(
        st.one_of(
            st.none(),
            st.builds(
                lambda minor, currency: {"amount_minor": minor, "currency": currency},
                st.sampled_from([0, 100, 200, 300, 10**25]),
                st.sampled_from(["XTR", "EUR"]),
            ),
        )
    )


def _data(draw: DrawFn, kind: str, conflicts: bool) -> dict[str, Any]:
    pick = lambda *choices: draw(st.sampled_from(choices))  # noqa: E731
    # Without conflicts an identity's amount follows from its name.
    charge, refund, dispute = pick("c1", "c2"), pick("r1", "r2", "r3"), pick("d1", "d2")
    refund_cents = {"r1": 500, "r2": 200, "r3": 900}[refund]
    provider = pick("stripe", "stripe", "telegram_stars")
    amount = pick(500, 700) if conflicts else 500
    named = {"provider": provider, "charge_id": charge}
    match kind:
        case "user.registered":
            names = {"username": pick("a", "b", None), "referred_by": pick(1, 2, 9, None), "language": pick("en", "de")}
            return {name: value for name, value in names.items() if draw(st.booleans())}
        case "user.profile_changed":
            names = {
                "username": pick("c", "d", None),
                "is_premium": pick(True, False, None),
                "first_name": pick("x", "y"),
            }
            return {name: value for name, value in names.items() if draw(st.booleans())}
        case "message.received" | "message.sent":
            return {"kind_": pick("text", "command", "photo")}
        case "credits.granted" | "credits.spent":
            return {"credits": pick(1, 10), "reason": "other"}
        case "payment.succeeded":
            more = {"amount_cents": amount, "method": pick("card", "stars"), "auto_recharge": pick(True, None)}
            return named | more | {"original": originals(draw)}
        case "payment.failed":
            return {"attempt_id": pick("a1", "a2"), "provider": provider, "method": "card", "amount_cents": amount,
                    "failure_code": pick("declined", "expired")}  # fmt: skip
        case "payment.refunded":
            cents = pick(200, 500) if conflicts else refund_cents
            return named | {"refund_id": refund, "amount_cents": cents, "original": originals(draw)}
        case "payment.refund_failed":
            return named | {"refund_id": refund}
        case "payment.dispute_opened":
            return named | {"dispute_id": dispute, "amount_cents": amount}
        case "payment.dispute_closed":
            return named | {"dispute_id": dispute, "outcome": pick("won", "lost")}
        case "auto_recharge.configured":
            more = {"amount_cents": pick(100, 200, None), "threshold_credits": pick(5, 6, None)}
            return {"enabled": draw(st.booleans())} | {n: v for n, v in more.items() if draw(st.booleans())}
        case "auto_recharge.triggered":
            return {"trigger_id": pick("t1", "t2"), "amount_cents": pick(100, 200) if conflicts else 100}
        case "content.published" | "content.changed":
            item = {"content_id": pick("i1", "i2"), "content_type": pick("photo", "video"), "price_cents": pick(0, 99)}
            more = {"title": pick("x", "y", None), "price_credits": pick(1, 2, None)}
            return item | {name: value for name, value in more.items() if draw(st.booleans())}
        case "content.viewed" | "content.offered":
            return {"content_id": pick("i1", "i2", "i3")}
        case "content.unlocked":
            paid_with = pick("credits", "payment", "free")
            return {"content_id": pick("i1", "i2", "i3"), "price_cents": pick(0, 100), "paid_with": paid_with}
        case "subscription.started" | "subscription.renewed" | "subscription.payment_failed":
            more = {"plan": pick("a", "b", None), "amount_cents": pick(5, 6, None), "expires_at": pick(at(9), None)}
            said = {name: value for name, value in more.items() if draw(st.booleans())}
            return {"subscription_id": pick("s1", "s2")} | said
        case "admin.action_taken":
            return {"action": "noted"}
    return {}


MONEY = (
    "payment.succeeded", "payment.refunded", "payment.refund_failed", "payment.dispute_opened",
    "payment.dispute_closed",
)  # fmt: skip
KINDS = (
    *MONEY, *MONEY, "payment.failed", "auto_recharge.triggered", "user.registered", "user.profile_changed",
    "user.bot_blocked", "user.bot_unblocked", "message.received", "message.received", "message.sent",
    "credits.granted", "credits.spent", "auto_recharge.configured", "content.viewed", "content.offered",
    "content.unlocked", "content.published", "content.changed", "subscription.started",
    "subscription.renewed", "subscription.payment_failed", "admin.action_taken",
)  # fmt: skip


@st.composite
def histories(
    draw: DrawFn,
    *,
    kinds: tuple[str, ...] = KINDS,
    users: tuple[int, ...] = USERS,
    most: int = 30,
    conflicts: bool = True,
    spread: int = 200,
    distinct_times: bool = False,
) -> list[BotEvent]:
    """A log of up to `most` events. `distinct_times`: no two events share a moment, so that no order decides."""
    events = []
    for number in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(kinds))
        time = draw(_times(spread))
        if distinct_times:
            time = time.replace(microsecond=number)
        name = f"{draw(st.sampled_from('abc'))}{number}"
        source = draw(st.sampled_from(["/bots/a", "/bots/b"]))
        user = draw(st.sampled_from(users))
        events.append(event(kind, user, time, event_id=name, source=source, **_data(draw, kind, conflicts)))
    return events
