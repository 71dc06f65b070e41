"""Histories of six events about one charge each, every permutation of which must come to the same."""

from __future__ import annotations

from typing import Any, Final

from schemas.events import BotEvent
from tests.support.folding import at, charge, event, refund

_ONE: Final[dict[str, Any]] = {"provider": "stripe", "charge_id": "c1", "dispute_id": "d1"}
_TWO: Final[dict[str, Any]] = {**_ONE, "dispute_id": "d2"}


def _xtr(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "XTR"}


def scenarios(user: int) -> dict[str, list[BotEvent]]:
    """The scenarios by name, about one user; ids differ from user to user, as they would."""
    n = {"source": f"/bots/{user}"}
    return {
        "refunded, then lost": [
            charge(user, at(5), event_id="a", **n),
            charge(user, at(0), event_id="b", source="/bots/other", method="wallet"),
            refund(user, at(days=1), "r1", cents=200, **n),
            refund(user, at(days=2), "r2", cents=250, **n),
            event("payment.dispute_opened", user, at(days=1), amount_cents=500, **_ONE, **n),
            event("payment.dispute_closed", user, at(days=3), outcome="lost", **_ONE, **n),
        ],
        "lost, corrected to won, a refund that failed": [
            event("payment.dispute_closed", user, at(days=3), outcome="lost", **_ONE, **n),
            event("payment.dispute_closed", user, at(days=4), outcome="won", **_ONE, **n),
            event("payment.dispute_opened", user, at(days=1), amount_cents=500, **_ONE, **n),
            charge(user, at(0), cents=5000, **n),
            refund(user, at(days=2), cents=400, **n),
            event("payment.refund_failed", user, at(days=5), provider="stripe", charge_id="c1", refund_id="r1", **n),
        ],
        "the whole in the original currency": [
            charge(user, at(0), cents=500, original=_xtr(300), **n),
            refund(user, at(days=1), "r1", cents=160, original=_xtr(100), **n),
            refund(user, at(days=2), "r2", cents=330, original=_xtr(200), **n),
            refund(user, at(days=3), "r3", cents=5, original={"amount_minor": 900, "currency": "EUR"}, **n),
            event("payment.dispute_opened", user, at(days=1), amount_cents=500, **_ONE, **n),
            event("message.received", user, at(20), kind_="text", **n),
        ],
        "two disputes, the earlier loss counts": [
            event("payment.dispute_closed", user, at(days=3), outcome="lost", **_ONE, **n),
            event("payment.dispute_closed", user, at(days=2), outcome="lost", **_TWO, **n),
            event("payment.dispute_closed", user, at(days=5), outcome="won", **_TWO, **n),
            event("payment.dispute_opened", user, at(days=1), amount_cents=500, **_TWO, **n),
            refund(user, at(days=2), cents=900, **n),
            charge(user, at(0), **n),
        ],
        "a refund whose earliest event names another charge": [
            charge(user, at(0), "c1", cents=1000, **n),
            charge(user, at(1), "c2", cents=1000, **n),
            refund(user, at(days=2), "r1", "c1", cents=400, **n),
            refund(user, at(days=1), "r1", "c2", cents=400, **n),
            event("payment.dispute_closed", user, at(days=3), outcome="lost", **_ONE, **n),
            event("payment.dispute_opened", user, at(days=1), amount_cents=500, **{**_ONE, "charge_id": "c2"}, **n),
        ],
        "a charge that moves between sessions and over midnight": [
            charge(user, at(12 * 60 + 20), event_id="b", **n),
            charge(user, at(12 * 60 - 10), event_id="a", **n),
            event("message.received", user, at(12 * 60 + 5), kind_="text", **n),
            event("message.received", user, at(12 * 60 - 35), kind_="text", **n),
            event("credits.spent", user, at(12 * 60 + 45), credits=3, reason="other", **n),
            refund(user, at(days=1), cents=100, **n),
        ],
    }
