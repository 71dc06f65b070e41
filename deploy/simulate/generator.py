"""From a plan to the records of a log: the same plan gives the same bytes, in any process."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Any, NamedTuple

import orjson

from deploy.simulate.clock import DAY, MINUTE, SECOND, moment, text
from deploy.simulate.faults import NONE, Faults
from deploy.simulate.people import User, telegram_id
from deploy.simulate.poison import CONTENT_TYPE, Headers, poison
from deploy.simulate.rhythm import Rhythm
from deploy.simulate.story import Story, Told
from deploy.simulate.visits import Visits

# A duplicate of anything but a payment follows within so few records that it lies among its user's
# last 64 events, as far as streams promises to recognise it.
_NEAR = 30
_AMOUNTS = frozenset(
    {
        "payment.succeeded",
        "payment.refunded",
        "payment.dispute_opened",
        "payment.failed",
        "auto_recharge.triggered",
    }
)
_HEADERS: Headers = [CONTENT_TYPE]


@dataclass(frozen=True)
class Plan:
    """What to simulate: `events` distinct valid events of up to `users` users in the `days` days before `end`.

    Faults add records to the events. `end` is an aware datetime.
    """

    users: int
    events: int
    seed: int
    end: datetime
    days: int = 60
    faults: Faults = NONE


class Emission(NamedTuple):
    """One record for the log, in the log's order."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    event: dict[str, Any] | None
    """What the value says; None when the contract refuses the record."""
    refused: str | None
    """The reason of the dead letter that the record must become."""
    misplaced: bool
    """To be written to another partition than its key's."""


def simulate(plan: Plan) -> Iterator[Emission]:
    """Every record of the plan, one after the other; memory does not grow with the number of events."""
    rng = random.Random(plan.seed)  # noqa: S311
    offset = rng.randrange(4_000_000_000)
    end = moment(plan.end)
    story = Story(rng, plan.seed, plan.events, end - plan.days * DAY, end, plan.faults)
    # Somebody else's key, for records that are filed wrong.
    other = telegram_id(offset, plan.users + 7)
    near: list[tuple[int, int, Emission]] = []
    position = tie = 0
    for told in _in_log_order(plan, story, offset):
        for emission, distance in _records(told, story, other):
            if distance:
                tie += 1
                heappush(near, (position + distance, tie, emission))
            else:
                yield emission
                position += 1
            while near and near[0][0] <= position:
                yield heappop(near)[2]
    while near:
        yield heappop(near)[2]


def _in_log_order(plan: Plan, story: Story, offset: int) -> Iterator[Told]:
    rng = story.rng
    # Visits last a while: the last ones begin early enough to end inside the span.
    rhythm = Rhythm(story.start, story.end - 45 * MINUTE)
    # The first who come are the people behind the bot.
    admins = [telegram_id(offset, number) for number in range(min(3, plan.users))]
    stranger = telegram_id(offset, plan.users + 5)
    visits = Visits(story, admins)
    people: list[User] = []
    share_of_first_visits = max(1, int(plan.events / plan.users * 0.6))
    contents, catalogue = 0, max(3, min(300, plan.events // 400))
    while not story.over:
        share = story.told / plan.events
        at = rhythm.at(share)
        yield from story.due(at)
        if contents < catalogue and contents <= share * catalogue * 1.2 + 2:
            contents += 1
            visits.publish(at)
        # Everybody has arrived after 97 % of the events; half of them in the first 40 %.
        elif len(people) < plan.users and len(people) <= plan.users * (share / 0.97) ** 0.8:
            user = User(len(people) + 1, telegram_id(offset, len(people)), rng)
            people.append(user)
            referrer = _referrer(rng, people, stranger)
            visits.first_visit(user, at, min(share_of_first_visits, 40), referrer)
        else:
            visits.visit(_regular(rng, people), at, 400)
    yield from story.due(None)


def _referrer(rng: random.Random, people: list[User], stranger: str) -> str | None:
    """Who sent this user: mostly nobody; by mistake the user themselves, or somebody whom the bot never met."""
    chance = rng.random()
    if chance < 0.2:
        return people[int(len(people) * rng.random() ** 3)].subject
    return stranger if chance < 0.205 else None


def _regular(rng: random.Random, people: list[User]) -> User:
    """Somebody who comes back: the chance of the n-th user falls with 1 / (n + 8)."""
    return people[int(8 * ((len(people) + 8) / 8) ** rng.random()) - 8]


def _records(told: Told, story: Story, other: str) -> Iterator[tuple[Emission, int]]:
    """The records of one telling, each with how many records later it comes (0: now)."""
    event = told.event
    emission = Emission(event["subject"].encode(), orjson.dumps(event), _HEADERS, event, None, False)
    yield emission, 0
    faults = story.faults
    if told.copy or not story.faulty:
        return
    kind = event["type"][len("botpulse.") : -len(".v1")]
    fact = kind.startswith("payment.") or kind == "auto_recharge.triggered"
    chance = story.rng.random
    if chance() < faults.duplicates:
        if fact and chance() < 0.5:
            story.again(told, event, told.log_at + int(chance() * 3 * DAY))
        else:
            yield emission, 1 + int(chance() * _NEAR)
    if chance() < faults.far_duplicates:
        story.again(told, event, told.log_at + int(chance() * 3 * DAY))
    if fact:
        if chance() < faults.copies:
            story.again(told, _copy(told, story), told.log_at + int(chance() ** 3 * 3 * DAY))
        if kind in _AMOUNTS and chance() < faults.conflicts:
            story.again(told, _conflict(told, story), told.log_at + 1 + int(chance() ** 3 * 3 * DAY))
    if chance() < faults.poison and not event["subject"].startswith("content:"):
        # An id of its own: the valid event must not look like a duplicate of what was refused.
        bad = poison(story.rng, {**event, "id": story.fresh_id()}, other)
        yield Emission(bad.key, bad.value, bad.headers, None, bad.reason, bad.misplaced), 0


def _copy(told: Told, story: Story) -> dict[str, Any]:
    """The same fact, seen by somebody else: another id and source, a time a little earlier or later.

    A dispute's closing keeps its time, since the latest closing counts.
    """
    at = told.at
    if not told.event["type"].endswith("dispute_closed.v1"):
        at = min(max(at + story.rng.randint(-40 * 60, 10 * 60) * SECOND, story.start), story.end)
    return {**told.event, "id": story.fresh_id(), "source": "/reconciliation", "time": text(at)}


def _conflict(told: Told, story: Story) -> dict[str, Any]:
    """The same identity with another amount."""
    data = told.event["data"]
    other = {**data, "amount_cents": data["amount_cents"] + story.rng.choice((1, 100, 500))}
    at = min(told.at + story.rng.randint(0, 3600) * SECOND, story.end)
    return {**told.event, "id": story.fresh_id(), "source": "/reconciliation", "time": text(at), "data": other}
