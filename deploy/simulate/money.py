"""Charges and what becomes of them: grants, refunds, disputes, failures, subscriptions."""

from __future__ import annotations

from typing import Any

from deploy.simulate.clock import DAY, HOUR, MINUTE, SECOND
from deploy.simulate.people import PACKS, User, pick_way
from deploy.simulate.story import BOT, Story

_FAILURES = ("card_declined", "insufficient_funds", "expired_card", "processing_error", "3ds_failed")


class Till:
    """Tells everything about money."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._rng = story.rng
        self._count = 0

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._story.seed}_{self._count}"

    def buy_credits(self, user: User, at: int) -> int:
        """A pack of credits; returns when it was over."""
        cents, amount = self._rng.choice(PACKS)
        return self.charge(user, at, cents, {"purpose": "credits", "credits": amount}, granted=amount)

    def recharge(self, user: User, at: int) -> int:
        """The balance fell below the user's threshold: triggered, then paid or refused."""
        assert user.recharge is not None
        cents, amount, _ = user.recharge
        data = {"trigger_id": self._id("ar"), "amount_cents": cents, "credits": amount}
        self._story.tell(at, "auto_recharge.triggered", user.subject, data)
        extra = {"purpose": "credits", "credits": amount, "auto_recharge": True}
        return self.charge(user, at + 2 * SECOND, cents, extra, granted=amount)

    def charge(self, user: User, at: int, cents: int, extra: dict[str, Any], *, granted: int = 0) -> int:
        """One attempt to pay `cents`, sometimes after failed ones; its grant and its later fate."""
        rng, story = self._rng, self._story
        way = user.way if rng.random() < 0.9 else pick_way(rng)
        provider, method, _, source = way
        facts: dict[str, Any] = {"provider": provider, "method": method, "amount_cents": cents}
        stars = 0
        if method == "stars":
            # Prices are set in Stars; a Star is worth 1.3 cents, rounded down.
            stars = max(1, cents * 10 // 13)
            cents = max(1, stars * 13 // 10)
            facts["amount_cents"] = cents
            facts["original"] = {"amount_minor": stars, "currency": "XTR"}
        elif rng.random() < 0.25:
            facts["original"] = {"amount_minor": cents * 93 // 100 + 1, "currency": "EUR"}
        while rng.random() < 0.12:
            failure = {**facts, "attempt_id": self._id("at"), "failure_code": rng.choice(_FAILURES)}
            failure |= {name: extra[name] for name in ("purpose", "auto_recharge") if name in extra}
            story.tell(at, "payment.failed", user.subject, failure, source=source)
            at += rng.randint(5, 90) * SECOND
            if rng.random() < 0.3:
                return at
        charge_id = self._id("ch")
        if user.last_charge is not None and rng.random() < 0.005:
            # Charge ids are a provider's own: another provider may use the same one.
            if not user.last_charge.startswith(f"{provider} "):
                charge_id = user.last_charge.partition(" ")[2]
        else:
            user.last_charge = f"{provider} {charge_id}"
        reference = {"charge_id": charge_id, "provider": provider}
        log_at = self._aftermath(user, at, reference, cents, stars, source)
        data = {**facts, **extra, "charge_id": charge_id}
        story.tell(at, "payment.succeeded", user.subject, data, source=source, log_at=log_at)
        at += SECOND
        if granted:
            first_spent = rng.random() < story.faults.spend_first
            granted_at = at + rng.randint(5, 60) * MINUTE if first_spent else None
            grant = {"credits": granted, "reason": "purchase", "charge_id": charge_id}
            story.tell(at, "credits.granted", user.subject, grant, log_at=granted_at)
            user.credits += granted
        return at

    def _aftermath(
        self, user: User, at: int, reference: dict[str, Any], cents: int, stars: int, source: str
    ) -> int | None:
        """Refunds and disputes of a charge; returns when the charge itself reaches the log, if not at once."""
        rng, story = self._rng, self._story
        fate = rng.random()
        first: int | None = None
        if fate < 0.06:
            first = self._refund(user, at, reference, cents, stars, source)
        elif fate < 0.09:
            part = max(1, cents * rng.randint(10, 80) // 100)
            first = self._refund(user, at, reference, part, stars * part // cents, source)
        elif fate < 0.11:
            first = self._refund_in_parts(user, at, reference, cents, stars, source)
        elif fate < 0.12:
            # One refund more than there was to give back: a support mistake that happens.
            first = self._refund(user, at, reference, cents, stars, source)
            self._refund(user, at, reference, max(1, cents // 3), stars // 3, source)
        elif fate < 0.135:
            first = self._refund(user, at, reference, cents, stars, source, fails=True)
        elif fate < 0.17:
            self._dispute(user, at, reference, cents, source)
            if rng.random() < 0.2:
                self._refund(user, at, reference, max(1, cents // 2), stars // 2, source)
        if rng.random() < story.faults.orphans:
            unknown = {**reference, "charge_id": self._id("gone")}
            if rng.random() < 0.5:
                self._refund(user, at, unknown, cents, stars, source)
            else:
                self._dispute(user, at, unknown, cents, source)
        if first is not None and rng.random() < story.faults.refund_first:
            return first + rng.randint(1, 600) * SECOND
        return None

    def _refund(
        self,
        user: User,
        at: int,
        reference: dict[str, Any],
        cents: int,
        stars: int,
        source: str,
        *,
        fails: bool = False,
    ) -> int:
        rng, story = self._rng, self._story
        refunded_at = story.follow_up(at, 5 * MINUTE, 12 * DAY)
        data: dict[str, Any] = {**reference, "refund_id": self._id("re"), "amount_cents": cents}
        if stars:
            data["original"] = {"amount_minor": stars, "currency": "XTR"}
        if rng.random() < 0.5:
            data["reason"] = rng.choice(("requested_by_customer", "duplicate", "not_delivered"))
        story.tell(refunded_at, "payment.refunded", user.subject, data, source=source)
        if fails:
            failed_at = story.follow_up(refunded_at, HOUR, 3 * DAY)
            failure = {**reference, "refund_id": data["refund_id"]}
            story.tell(failed_at, "payment.refund_failed", user.subject, failure, source=source)
        return refunded_at

    def _refund_in_parts(
        self, user: User, at: int, reference: dict[str, Any], cents: int, stars: int, source: str
    ) -> int:
        """Two or three refunds that give everything back; cents are rounded down, Stars are whole."""
        parts = self._rng.randint(2, 3)
        first: int | None = None
        for number in range(parts):
            last = number == parts - 1
            star_part = stars - stars // parts * (parts - 1) if last else stars // parts
            # With Stars each part is converted alone, so that some cents are left over: none of them counts.
            part = cents * star_part // stars if stars else cents // parts + (cents % parts if last else 0)
            refunded_at = self._refund(user, at, reference, max(1, part), star_part, source)
            first = refunded_at if first is None else min(first, refunded_at)
        assert first is not None
        return first

    def _dispute(self, user: User, at: int, reference: dict[str, Any], cents: int, source: str) -> None:
        rng, story = self._rng, self._story
        opened_at = story.follow_up(at, DAY, 20 * DAY)
        dispute = {**reference, "dispute_id": self._id("dp")}
        log_at = None
        if rng.random() < 0.85:
            closed_at = story.follow_up(opened_at, DAY, 15 * DAY)
            outcome = "lost" if rng.random() < 0.5 else "won"
            closing = {**dispute, "outcome": outcome}
            story.tell(closed_at, "payment.dispute_closed", user.subject, closing, source=source)
            if rng.random() < 0.1:
                # An appeal turns it round.
                again = {**dispute, "outcome": "won" if outcome == "lost" else "lost"}
                turned_at = story.follow_up(closed_at, DAY, 9 * DAY)
                story.tell(turned_at, "payment.dispute_closed", user.subject, again, source=source)
            if rng.random() < story.faults.closing_first:
                log_at = closed_at + rng.randint(1, 600) * SECOND
        opening = {**dispute, "amount_cents": cents, "reason": "fraudulent"}
        if rng.random() < 0.97:  # some openings never come
            story.tell(opened_at, "payment.dispute_opened", user.subject, opening, source=source, log_at=log_at)

    def subscription(self, user: User, at: int) -> int:
        """The next step in the life of a subscription."""
        rng, story = self._rng, self._story
        if user.subscription is None:
            user.subscription = (self._id("sub"), rng.choice((499, 999)))
            name, cents = user.subscription
            at = self.charge(user, at, cents, {"purpose": "subscription", "subscription_id": name})
            data = {"subscription_id": name, "plan": "monthly", "amount_cents": cents}
            story.tell(at, "subscription.started", user.subject, data, source=BOT)
            return at + SECOND
        name, cents = user.subscription
        step = rng.random()
        if step < 0.65:
            at = self.charge(user, at, cents, {"purpose": "subscription", "subscription_id": name})
            story.tell(at, "subscription.renewed", user.subject, {"subscription_id": name, "amount_cents": cents})
        elif step < 0.85:
            data = {"subscription_id": name, "amount_cents": cents}
            story.tell(at, "subscription.payment_failed", user.subject, data)
        else:
            story.tell(at, "subscription.cancelled", user.subject, {"subscription_id": name})
            user.subscription = None
        return at + SECOND
