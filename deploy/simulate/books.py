"""The books: what a log must add up to, kept in plain dictionaries and read straight from the contract.

They are an oracle for streams and projections, so they share no code with either, and they answer every question
in the simplest way there is: remember the facts, add them up at the end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from hashlib import blake2b
from importlib import resources
from typing import Any

import orjson

from deploy.simulate.books_content import Catalogue
from deploy.simulate.books_days import days_of, hour_text, hours_of
from deploy.simulate.books_messages import Mailbag
from deploy.simulate.books_money import Money
from deploy.simulate.books_sessions import Act, sessions_of
from deploy.simulate.books_triggers import Leads
from deploy.simulate.generator import Emission

# The rules are data, the newest version counts; only how they are applied is ours.
_RULES = json.loads(resources.files("schemas").joinpath("tier_rules.json").read_text("utf-8"))
_TIERS = max(_RULES, key=lambda rules: int(rules["version"]))["tiers"]

_BY_HOUR = {"message.received": "messages", "message.sent": "messages_sent", "admin.action_taken": "admin_actions"}


def tier_for(purchases: int, spent_cents: int) -> str:
    """The best of all tiers whose purchases or whose spend are reached."""
    reached = [
        (tier["min_spent_cents"], tier["name"])
        for tier in _TIERS
        if purchases >= tier["min_purchases"] or spent_cents >= tier["min_spent_cents"]
    ]
    return str(max(reached)[1])


class Books:
    """Told of every record in the order of the log; asked for the sums at the end."""

    def __init__(self) -> None:
        self.money = Money()
        self.catalogue = Catalogue()
        self.mailbag = Mailbag()
        self.leads = Leads()
        self.counts: dict[str, int] = dict.fromkeys(
            ("records", "events", "duplicates", "copies", "conflicts", "refused"), 0
        )
        self.refused_by_reason: dict[str, int] = defaultdict(int)
        self._seen: set[bytes] = set()
        # Every subject that is a user, with their own actions, payments apart: those have copies.
        self._acts: dict[str, list[Act]] = defaultdict(list)
        self._credits: dict[str, int] = defaultdict(int)
        self._registered: dict[str, datetime] = {}
        self._referrals: dict[str, tuple[datetime, str]] = {}
        self._blocked: dict[str, tuple[datetime, bool]] = {}
        self._daily: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._hourly: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, emission: Emission) -> None:
        """One record of the log."""
        if emission.event is None:
            self.refused(emission.refused or "unknown")
        else:
            self.event(emission.event)

    def refused(self, reason: str) -> None:
        """A record that the contract refuses: it counts nowhere."""
        self.counts["records"] += 1
        self.counts["refused"] += 1
        self.refused_by_reason[reason] += 1

    def event(self, event: dict[str, Any]) -> None:
        """A record with a valid event, which may be a duplicate, a copy or in conflict with an earlier one."""
        self.counts["records"] += 1
        at = datetime.fromisoformat(event["time"])
        identity = f"{event['source']} {event['id']} {at.isoformat()}".encode()
        digest = blake2b(identity, digest_size=16).digest()
        if digest in self._seen:
            self.counts["duplicates"] += 1
            return
        self._seen.add(digest)
        kind = event["type"].removeprefix("botpulse.").removesuffix(".v1")
        subject, data = event["subject"], event["data"]
        verdict = self.money.take(kind, subject, at, event["source"], event["id"], data)
        if verdict == "conflict":
            self.counts["conflicts"] += 1
            return
        if verdict == "copy":
            self.counts["copies"] += 1
        self.counts["events"] += 1
        hour = self._hourly[hour_text(at)]
        hour["events"] += 1
        if kind in _BY_HOUR:
            hour[_BY_HOUR[kind]] += 1
        family, _, fact = kind.partition(".")
        if family == "content":
            self.catalogue.take(fact, subject, at, data)
        if not subject.startswith("content:"):
            self._of_user(kind, subject, at, data)

    def _of_user(self, kind: str, user: str, at: datetime, data: dict[str, Any]) -> None:
        acts = self._acts[user]
        self.leads.take(kind, user, at)
        day = self._daily[at.date().isoformat()]
        if kind == "message.received":
            acts.append(Act(at, 1, 0, 0))
            self.mailbag.take(user, at, data["kind"])
            day["messages_received"] += 1
        elif kind == "message.sent":
            day["messages_sent"] += 1
        elif kind == "credits.spent":
            acts.append(Act(at, 0, data["credits"], 0))
            self._credits[user] -= data["credits"]
            day["credits_spent"] += data["credits"]
        elif kind == "credits.granted":
            self._credits[user] += data["credits"]
        elif kind == "content.viewed":
            acts.append(Act(at, 0, 0, 0))
        elif kind == "content.unlocked":
            acts.append(Act(at, 0, 0, 0))
            day["content_unlocks"] += 1
        elif kind == "user.registered":
            self._registered[user] = min(at, self._registered.get(user, at))
            referrer = data.get("referred_by")
            if referrer is not None and str(referrer) != user:
                earliest = self._referrals.get(user)
                if earliest is None or at < earliest[0]:
                    self._referrals[user] = (at, str(referrer))
        elif kind in ("user.bot_blocked", "user.bot_unblocked"):
            latest = self._blocked.get(user)
            # On equal times the later in the log wins.
            if latest is None or at >= latest[0]:
                self._blocked[user] = (at, kind == "user.bot_blocked")

    def all_acts(self) -> dict[str, list[Act]]:
        """The own actions of every user, each payment once, in the order of time."""
        acts = {user: list(done) for user, done in self._acts.items()}
        for charge in self.money.charges():
            acts[charge.user].append(Act(charge.at, 0, 0, 1))
        for done in acts.values():
            done.sort()
        return acts

    def users(self, acts: dict[str, list[Act]]) -> dict[str, dict[str, Any]]:
        """What every user has come to, by telegram_id."""
        spent: dict[str, int] = defaultdict(int)
        purchases: dict[str, int] = defaultdict(int)
        for charge in self.money.charges():
            remainder = self.money.remainder(charge)
            spent[charge.user] += remainder
            purchases[charge.user] += remainder > 0
        return {
            user: {
                "spent_cents": spent[user],
                "purchases": purchases[user],
                "messages": sum(act.messages for act in done),
                "credits": self._credits[user],
                "tier": tier_for(purchases[user], spent[user]),
                "last_active": written(done[-1].at) if done else None,
                "registered_at": written(self._registered[user]) if user in self._registered else None,
                "referred_by": self._referrals[user][1] if user in self._referrals else None,
                "is_blocked": self._blocked[user][1] if user in self._blocked else False,
            }
            for user, done in acts.items()
        }

    def report(self) -> dict[str, Any]:
        """All of it, as plain JSON: what is counted, and what the tables must hold."""
        acts = self.all_acts()
        return {
            "format": 1,
            "counts": {**self.counts, "refused_by_reason": dict(sorted(self.refused_by_reason.items()))},
            "users": self.users(acts),
            "days": days_of(self._daily, acts, self._registered.values(), self.money),
            "hours": hours_of(self._hourly, self.money),
            "payments": self.money.report(),
            "content": self.catalogue.report(),
            "triggers": self.leads.report(self.money),
            "patterns": self.mailbag.patterns(),
            "preferences": self.mailbag.preferences(),
            "sessions": [session for user, done in acts.items() for session in sessions_of(user, done)],
        }

    def write(self, **about: object) -> bytes:
        """The report as JSON bytes, with `about` (the arguments of the run) in front."""
        return orjson.dumps({**about, **self.report()}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def written(at: datetime) -> str:
    """A time as the books write it: UTC, six fraction digits, Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
