"""The tables as contract.md describes them, computed the slow way from a whole log: an oracle for the folds.

Written from the contract alone. It keeps every event, recomputes everything from all of them, and shares no code with
the projections.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

HALF_HOUR = timedelta(minutes=30)
OWN_ACTIONS = ("message.received", "credits.spent", "payment.succeeded", "content.viewed", "content.unlocked")
PROFILE = {
    "username": "username",
    "first_name": "first_name",
    "last_name": "last_name",
    "language": "preferred_language",
    "referral_code": "referral_code",
    "is_premium": "is_premium",
}
RECHARGE = {
    "enabled": "auto_recharge_enabled",
    "amount_cents": "auto_recharge_amount_cents",
    "credits": "auto_recharge_credits",
    "threshold_credits": "auto_recharge_threshold_credits",
}
IDENTITIES = {
    "payment.succeeded": lambda d: (d.provider, d.charge_id),
    "payment.failed": lambda d: (d.provider, d.attempt_id),
    "payment.refunded": lambda d: (d.provider, d.refund_id),
    "payment.dispute_opened": lambda d: (d.provider, d.dispute_id),
    "auto_recharge.triggered": lambda d: (d.trigger_id,),
}


def kind_of(event: Any) -> str:
    return str(event.type).removeprefix("botpulse.").removesuffix(".v1")


def order_of(event: Any) -> tuple[datetime, str, str]:
    return (event.time, event.source, event.id)


class Naive:
    """All tables of a log: `arrivals` in the order in which they were applied."""

    def __init__(self, arrivals: Sequence[Any]) -> None:
        self.conflicts = 0
        self.tier_changes = [a for a in arrivals if kind_of(a.event) == "tier.changed"]
        self.arrivals = self._without_conflicts(arrivals)
        self.events = [a.event for a in self.arrivals if kind_of(a.event) != "tier.changed"]

    def _without_conflicts(self, arrivals: Iterable[Any]) -> list[Any]:
        amounts: dict[Any, int] = {}
        accepted = []
        for arrival in arrivals:
            event = arrival.event
            identity = IDENTITIES.get(kind_of(event))
            if identity is not None:
                key = (kind_of(event), event.subject, *identity(event.data))
                if amounts.setdefault(key, event.data.amount_cents) != event.data.amount_cents:
                    self.conflicts += 1
                    continue
            accepted.append(arrival)
        return accepted

    def _winners(self, kind: str, events: Iterable[Any]) -> dict[Any, Any]:
        """Per business identity the event with the smallest (time, source, id)."""
        found: dict[Any, Any] = {}
        for event in events:
            if kind_of(event) == kind:
                key = (int(event.subject), *IDENTITIES[kind](event.data))
                if key not in found or order_of(event) < order_of(found[key]):
                    found[key] = event
        return found

    def charges(self, events: Sequence[Any]) -> dict[Any, dict[str, Any]]:
        """Per charge what the contract says about it."""
        refunds = self._winners("payment.refunded", events)
        for event in events:
            if kind_of(event) == "payment.refund_failed":
                refunds.pop((int(event.subject), event.data.provider, event.data.refund_id), None)
        openings = self._winners("payment.dispute_opened", events)
        closings: dict[Any, Any] = {}
        for event in events:
            if kind_of(event) == "payment.dispute_closed":
                key = (int(event.subject), event.data.provider, event.data.dispute_id)
                if key not in closings or order_of(event) > order_of(closings[key]):
                    closings[key] = event
        rows = {}
        for key, charge in self._winners("payment.succeeded", events).items():

            def mine(facts: dict[Any, Any], charge_key: Any = key) -> list[Any]:
                return [f for k, f in facts.items() if (k[0], k[1], f.data.charge_id) == charge_key]

            returned = mine(refunds)
            refunded = sum(r.data.amount_cents for r in returned)
            whole = False
            if charge.data.original is not None:
                currency = charge.data.original.currency
                back = [r.data.original.amount_minor for r in returned
                        if r.data.original is not None and r.data.original.currency == currency]  # fmt: skip
                whole = charge.data.original.amount_minor > 0 and sum(back) >= charge.data.original.amount_minor
            amount = charge.data.amount_cents
            left = 0 if whole else max(0, amount - refunded)
            lost = sorted(c.time for c in mine(closings) if c.data.outcome == "lost")
            still_open = [k for k, o in openings.items() if (*k[:2], o.data.charge_id) == key and k not in closings]
            if lost:
                status = "dispute_lost"
            elif returned and left == 0:
                status = "refunded"
            elif still_open:
                status = "disputed"
            elif returned:
                status = "partially_refunded"
            else:
                status = "settled"
            rows[key] = {
                "charge": charge,
                "remainder": 0 if lost else left,
                "refunded": refunded,
                "refund_days": [(r.time.date(), r.data.amount_cents) for r in returned],
                "lost_day": lost[0].date() if lost else None,
                "lost_at": lost[0] if lost else None,
                "lost_cents": max(0, amount - refunded) if lost else 0,
                "status": status,
            }
        return rows

    def payment_analytics(self) -> list[tuple[Any, ...]]:
        rows = []
        for (user, provider, charge_id), row in self.charges(self.events).items():
            c = row["charge"]
            rows.append((
                user, provider, charge_id, None, "succeeded", row["status"], c.data.method, c.data.amount_cents,
                row["refunded"], row["remainder"], row["lost_cents"], row["lost_at"],
                *_original(c.data), c.data.purpose, None, bool(c.data.auto_recharge), *order_of(c),
            ))  # fmt: skip
        for (user, provider, attempt_id), a in self._winners("payment.failed", self.events).items():
            rows.append((
                user, provider, None, attempt_id, "failed", None, a.data.method, a.data.amount_cents,
                0, 0, 0, None, *_original(a.data), a.data.purpose, a.data.failure_code, bool(a.data.auto_recharge),
                *order_of(a),
            ))  # fmt: skip
        return sorted(rows, key=str)

    def own_actions(self) -> dict[int, list[tuple[datetime, str, int]]]:
        actions: dict[int, list[tuple[datetime, str, int]]] = defaultdict(list)
        for event in self.events:
            kind = kind_of(event)
            if kind in OWN_ACTIONS and kind != "payment.succeeded":
                amount = event.data.credits if kind == "credits.spent" else 0
                actions[int(event.subject)].append((event.time, kind, amount))
        for key, event in self._winners("payment.succeeded", self.events).items():
            actions[key[0]].append((event.time, "payment.succeeded", event.data.amount_cents))
        return actions

    def user_sessions(self) -> list[tuple[Any, ...]]:
        rows = []
        for user, actions in self.own_actions().items():
            groups: list[list[tuple[datetime, str, int]]] = []
            for action in sorted(actions):
                if groups and action[0] - groups[-1][-1][0] <= HALF_HOUR:
                    groups[-1].append(action)
                else:
                    groups.append([action])
            for group in groups:
                seconds = (group[-1][0] - group[0][0]) / timedelta(microseconds=1) / 1e6
                rows.append((
                    user, group[0][0], group[-1][0], seconds,
                    sum(kind == "message.received" for _, kind, _ in group),
                    sum(amount for _, kind, amount in group if kind == "credits.spent"),
                    sum(kind == "payment.succeeded" for _, kind, _ in group),
                ))  # fmt: skip
        return sorted(rows)

    def user_days(self) -> list[tuple[Any, ...]]:
        rows: dict[Any, list[int]] = defaultdict(lambda: [0] * 7)
        packed: dict[Any, list[Any]] = defaultdict(list)
        for user, actions in self.own_actions().items():
            for time, kind, amount in actions:
                row = rows[(user, time.date())]
                row[0] += kind == "message.received"
                row[2] += 1
                row[3] += kind == "payment.succeeded"
                row[4] += amount if kind == "payment.succeeded" else 0
                row[5] += amount if kind == "credits.spent" else 0
                row[6] += kind == "content.unlocked"
                packed[(user, time.date())].append((time, OWN_ACTIONS.index(kind) + 1, amount))
        for event in self.events:
            if kind_of(event) == "message.sent":
                rows[(int(event.subject), event.time.date())][1] += 1
        return sorted((*key, *row, tuple(sorted(packed[key]))) for key, row in rows.items())

    def daily_metrics(self) -> list[tuple[Any, ...]]:
        names = ("active_users", "new_users", "messages_received", "messages_sent", "revenue_cents", "refunded_cents",
                 "dispute_lost_cents", "successful_payments", "failed_payments", "auto_recharge_triggers",
                 "content_unlocks", "credits_spent", "new_disputes")  # fmt: skip
        days: dict[Any, dict[str, int]] = defaultdict(lambda: dict.fromkeys(names, 0))
        for actions in self.own_actions().values():
            for day in {time.date() for time, _, _ in actions}:
                days[day]["active_users"] += 1
        for registered in self._registered().values():
            days[registered.date()]["new_users"] += 1
        for event in self.events:
            kind, day = kind_of(event), event.time.date()
            if kind == "message.received":
                days[day]["messages_received"] += 1
            elif kind == "message.sent":
                days[day]["messages_sent"] += 1
            elif kind == "credits.spent":
                days[day]["credits_spent"] += event.data.credits
            elif kind == "content.unlocked":
                days[day]["content_unlocks"] += 1
        for row in self.charges(self.events).values():
            day = days[row["charge"].time.date()]
            day["revenue_cents"] += row["charge"].data.amount_cents
            day["successful_payments"] += 1
            for refund_day, cents in row["refund_days"]:
                days[refund_day]["refunded_cents"] += cents
            if row["lost_day"] is not None:
                days[row["lost_day"]]["dispute_lost_cents"] += row["lost_cents"]
        for kind, name in (
            ("payment.failed", "failed_payments"),
            ("payment.dispute_opened", "new_disputes"),
            ("auto_recharge.triggered", "auto_recharge_triggers"),
        ):
            for event in self._winners(kind, self.events).values():
                days[event.time.date()][name] += 1
        return sorted(
            (day, *row.values(), row["revenue_cents"] - row["refunded_cents"] - row["dispute_lost_cents"])
            for day, row in days.items()
            if any(row.values())
        )

    def _registered(self) -> dict[int, datetime]:
        earliest: dict[int, datetime] = {}
        for event in self.events:
            if kind_of(event) == "user.registered":
                user = int(event.subject)
                earliest[user] = min(event.time, earliest.get(user, event.time))
        return earliest

    def users(self, tier_of: Callable[[int, int], str]) -> dict[int, dict[str, Any]]:
        subjects = {int(e.subject) for e in self.events if not e.subject.startswith("content:")}
        subjects |= {int(a.event.subject) for a in self.tier_changes}
        users = {user: self._user(user, tier_of) for user in subjects}
        for row in list(users.values()):
            if row["referred_by"] is not None and row["referred_by"] not in users:
                users[row["referred_by"]] = self._user(row["referred_by"], tier_of)
        return users

    def _user(self, user: int, tier_of: Callable[[int, int], str]) -> dict[str, Any]:
        mine = [a for a in self.arrivals if a.event.subject == str(user) and kind_of(a.event) != "tier.changed"]
        events = [a.event for a in mine]
        row: dict[str, Any] = dict.fromkeys([*PROFILE.values(), *RECHARGE.values()])
        row |= {"is_blocked": False, "auto_recharge_enabled": False}
        # sorted() is stable: on equal times the later in the log comes last and wins.
        for event in sorted(events, key=lambda e: e.time):
            kind = kind_of(event)
            if kind in ("user.registered", "user.profile_changed"):
                row |= {PROFILE[m]: getattr(event.data, m) for m in event.data.model_fields_set if m in PROFILE}
            elif kind == "auto_recharge.configured":
                row |= {RECHARGE[m]: getattr(event.data, m) for m in event.data.model_fields_set if m in RECHARGE}
            elif kind in ("user.bot_blocked", "user.bot_unblocked"):
                row["is_blocked"] = kind == "user.bot_blocked"
        named = [e for e in events if kind_of(e) == "user.registered" and e.data.referred_by not in (None, user)]
        charges = self.charges(events).values()
        row["referred_by"] = min(named, key=order_of).data.referred_by if named else None
        row["registered_at"] = self._registered().get(user)
        row["total_spent_cents"] = sum(c["remainder"] for c in charges)
        row["purchase_count"] = sum(c["remainder"] > 0 for c in charges)
        row["lifetime_messages"] = sum(kind_of(e) == "message.received" for e in events)
        row["message_credits"] = sum(e.data.credits for e in events if kind_of(e) == "credits.granted") - sum(
            e.data.credits for e in events if kind_of(e) == "credits.spent"
        )
        row["last_active"] = max((time for time, _, _ in self.own_actions().get(user, ())), default=None)
        row["current_tier"] = tier_of(row["purchase_count"], row["total_spent_cents"])
        row["tier_changed_at"] = self._tier_changed_at(mine, tier_of)
        return row

    def _tier_changed_at(self, mine: list[Any], tier_of: Callable[[int, int], str]) -> datetime | None:
        tier, changed_at = tier_of(0, 0), None
        for count, arrival in enumerate(mine, start=1):
            if not kind_of(arrival.event).startswith("payment."):
                continue
            charges = self.charges([a.event for a in mine[:count]]).values()
            now = tier_of(sum(c["remainder"] > 0 for c in charges), sum(c["remainder"] for c in charges))
            if now != tier:
                tier, changed_at = now, arrival.appended_at
        return changed_at

    def tier_history(self) -> list[tuple[Any, ...]]:
        rows: dict[str, tuple[Any, ...]] = {}
        for a in self.tier_changes:
            d = a.event.data
            rows.setdefault(a.event.id, (
                a.event.id, int(a.event.subject), a.event.time, d.previous, d.current, d.purchases, d.spent_cents,
                d.rules_version, {"source": d.caused_by.source, "id": d.caused_by.id}, a.partition, a.offset,
            ))  # fmt: skip
        return sorted(rows.values())


def _original(data: Any) -> tuple[Any, Any]:
    return (None, None) if data.original is None else (data.original.amount_minor, data.original.currency)
