"""The generator: the same bytes for the same plan, and nothing on the log but what it says it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace

import pytest

from deploy.simulate import DEMO, NONE, Books, Emission, Faults, Plan, parse_faults, simulate
from schemas.codec import Decoder
from schemas.errors import ConfigurationError, InvalidEvent
from schemas.partitioner import partition_of

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARTITIONS = 8
MANY_FAULTS = Faults(
    duplicates=0.05,
    copies=0.3,
    conflicts=0.1,
    late=0.05,
    reorder=0.05,
    refund_first=0.5,
    closing_first=0.5,
    spend_first=0.5,
    orphans=0.1,
    poison=0.05,
)


def plan(**changes: object) -> Plan:
    arguments: dict[str, object] = {"users": 200, "events": 5_000, "seed": 7, "end": END, "days": 30}
    return Plan(**{**arguments, **changes})  # type: ignore[arg-type]


def digest(emissions: list[Emission]) -> str:
    told = sha256()
    for emission in emissions:
        told.update(repr((emission.key, emission.value, emission.headers, emission.misplaced)).encode())
    return told.hexdigest()


def kind(emission: Emission) -> str:
    assert emission.event is not None
    return str(emission.event["type"]).removeprefix("botpulse.").removesuffix(".v1")


def test_the_same_plan_gives_the_same_bytes_in_another_process() -> None:
    script = (
        "from tests.unit.deploy.test_simulate import MANY_FAULTS, digest, plan, simulate;"
        "print(digest(list(simulate(plan(faults=MANY_FAULTS)))))"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(list(simulate(plan(faults=MANY_FAULTS))))


def test_another_seed_gives_other_users_and_other_charges() -> None:
    first, second = list(simulate(plan(seed=1))), list(simulate(plan(seed=2)))
    assert not {emission.key for emission in first} & {emission.key for emission in second}


@pytest.mark.parametrize(("users", "events"), [(1, 1), (3, 50), (200, 5_000), (3_000, 4_000)])
def test_without_faults_there_is_one_record_an_event(users: int, events: int) -> None:
    emissions = list(simulate(plan(users=users, events=events)))
    assert len(emissions) == events
    identities = {(e.event["source"], e.event["id"], e.event["time"]) for e in emissions if e.event}
    assert len(identities) == events


def test_every_user_of_the_plan_appears() -> None:
    books = Books()
    for emission in simulate(plan(users=500, events=5_000)):
        books.add(emission)
    assert len(books.report()["users"]) == 500


def test_every_record_is_what_it_says_by_the_contracts_own_rule() -> None:
    decoder = Decoder(PARTITIONS)
    reasons: Counter[str] = Counter()
    for emission in simulate(plan(events=8_000, faults=MANY_FAULTS)):
        partition = partition_of(emission.key or b"", PARTITIONS)
        record = SimpleNamespace(
            topic="bot.events",
            partition=(partition + emission.misplaced) % PARTITIONS,
            offset=0,
            timestamp=int(END.timestamp() * 1000),
            key=emission.key,
            value=emission.value,
            headers=emission.headers,
        )
        refused = None
        try:
            decoder.decode(record)
        except InvalidEvent as error:
            refused = error.reason.value
        assert refused == emission.refused, emission.value
        reasons[str(refused)] += 1
    # Everything that one record can break is broken somewhere.
    assert set(reasons) == {
        "None", "syntax", "too_large", "envelope", "unknown_type", "data", "limit", "time", "key", "partition",
        "content_type",
    }  # fmt: skip


def test_times_lie_in_the_span_and_the_log_follows_them() -> None:
    times = [datetime.fromisoformat(e.event["time"]) for e in simulate(plan()) if e.event]
    assert min(times) >= END - timedelta(days=30)
    assert max(times) <= END
    assert times == sorted(times)


def test_it_is_a_believable_bot() -> None:
    books, kinds = Books(), Counter[str]()
    for emission in simulate(Plan(2_000, 50_000, 42, END, 60, DEMO)):
        books.add(emission)
        if emission.event is not None:
            kinds[kind(emission)] += 1
    messages = kinds["message.received"] + kinds["message.sent"]
    assert 0.6 < messages / kinds.total() < 0.8
    report = books.report()
    tiers = Counter(user["tier"] for user in report["users"].values())
    assert set(tiers) == {"new", "regular", "vip", "premium"}
    assert {payment["settlement_status"] for payment in report["payments"]} == {
        "settled", "refunded", "partially_refunded", "disputed", "dispute_lost", None,
    }  # fmt: skip
    # Every event of the contract that the bot sends occurs.
    assert len(kinds) == 26
    assert len(report["days"]) >= 60


def test_faults_do_what_they_say() -> None:
    emissions = [e for e in simulate(plan(events=20_000, faults=MANY_FAULTS)) if e.event is not None]
    events = [e.event for e in emissions if e.event is not None]
    values = Counter(e.value for e in emissions)
    assert sum(values.values()) - len(values) > 500  # the same bytes again
    order = {
        event["data"].get("charge_id"): n
        for n, event in reversed(list(enumerate(events)))
        if "payment.succ" in event["type"]
    }
    refunds = [(n, event["data"]["charge_id"]) for n, event in enumerate(events) if "payment.refunded" in event["type"]]
    assert any(order.get(charge, -1) > n for n, charge in refunds), "a refund before its payment"
    assert any(charge not in order for _, charge in refunds), "a refund of a charge that was never made"
    times = [event["time"] for event in events]
    assert times != sorted(times)


def test_duplicates_of_messages_stay_within_what_streams_promises() -> None:
    last: dict[bytes, list[bytes]] = {}
    for emission in simulate(plan(users=3, events=20_000, faults=Faults(duplicates=0.1, late=0.1))):
        assert emission.key is not None
        assert emission.value is not None
        if emission.event and kind(emission).startswith(("message.", "credits.")):
            seen = last.setdefault(emission.key, [])
            if emission.value in seen:
                assert len(seen) - seen.index(emission.value) <= 64
            seen.append(emission.value)


def test_faults_are_parsed() -> None:
    assert parse_faults("none") == NONE
    assert parse_faults("demo") == DEMO
    assert parse_faults("duplicates=0.01, late=1") == Faults(duplicates=0.01, late=1.0)


@pytest.mark.parametrize("text", ["nonsense", "late=2", "late=x", "late", "late=-1", "late=nan"])
def test_wrong_faults_are_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=text.partition("=")[0]):
        parse_faults(text)


def test_the_books_use_nothing_of_the_product() -> None:
    """They are an oracle: their modules, loaded alone, bring in no fold and no event class."""
    script = (
        "import sys, deploy.simulate;"
        "print([name for name in sys.modules if name.split('.')[0] in ('streams', 'projections')"
        " or name in ('schemas.charges', 'schemas.tiers', 'schemas.events', 'schemas.activity')])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_the_report_is_json() -> None:
    books = Books()
    for emission in simulate(plan(faults=DEMO)):
        books.add(emission)
    written = json.loads(books.write(simulated={"seed": 7}))
    assert written["simulated"] == {"seed": 7}
    assert written["counts"]["records"] == sum(1 for _ in simulate(plan(faults=DEMO)))
