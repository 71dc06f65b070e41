"""The pure rules beside the events: partitioner, tiers, charges, activity, topics."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.activity import OWN_ACTIONS, activity_status
from schemas.charges import remainder
from schemas.partitioner import murmur2, murmur2_of_all, partition_of, partitions_of
from schemas.tiers import CURRENT_RULES, LOWEST_TIER, RULES_BY_VERSION, tier_change_id, tier_of
from schemas.topics import Topics


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_murmur2(key: bytes) -> None:
    assert murmur2(key) == reference(key) & 0xFFFFFFFF


def test_murmur2_of_a_key_as_long_as_a_record() -> None:
    key = random.Random(1).randbytes(900 * 1024 + 3)
    assert murmur2(key) == reference(key) & 0xFFFFFFFF


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 100), st.randoms(use_true_random=False))
def test_murmur2_of_keys_of_one_length(length: int, number: int, chance: random.Random) -> None:
    keys = [chance.randbytes(length) for _ in range(number)]
    assert murmur2_of_all(keys) == [murmur2(key) for key in keys]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=13)), st.integers(1, 64))
def test_partitions_of_keys_of_any_length(some: list[bytes], partitions: int) -> None:
    many = some + [b"%d" % number for number in range(100)] + [bytes([255]) * 12] * 50
    assert partitions_of(many, partitions) == [partition_of(key, partitions) for key in many]


def test_partitions() -> None:
    # Vectors of the Java client's own tests, as signed numbers.
    for key, hashed in [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]:
        assert murmur2(key) == hashed & 0xFFFFFFFF
    chance = random.Random(5)
    for _ in range(500):
        key = str(chance.randrange(1, 2**52)).encode()
        assert partition_of(key, 8) == (reference(key) & 0x7FFFFFFF) % 8
    assert partition_of(b"", 1) == 0


@pytest.mark.parametrize(
    ("purchases", "spent_cents", "tier"),
    [
        (0, 0, "new"),
        (2, 999, "new"),
        (3, 0, "regular"),
        (0, 1000, "regular"),
        (9, 4999, "regular"),
        (10, 0, "vip"),
        (1, 5000, "vip"),
        (19, 9999, "vip"),
        (20, 0, "premium"),
        (1, 10000, "premium"),
        (20, 10000, "premium"),
    ],
)
def test_tier_of(purchases: int, spent_cents: int, tier: str) -> None:
    assert tier_of(purchases, spent_cents) == tier


def test_rules_are_whole() -> None:
    for version, rules in RULES_BY_VERSION.items():
        assert rules.version == version
        assert (rules.tiers[-1].min_purchases, rules.tiers[-1].min_spent_cents) == (0, 0)
        for higher, lower in pairwise(rules.tiers):
            assert higher.min_purchases > lower.min_purchases
            assert higher.min_spent_cents > lower.min_spent_cents
            assert higher.benefits.keys() == lower.benefits.keys()
    assert LOWEST_TIER == "new"
    assert CURRENT_RULES.benefits_of("vip")["discount_percent"] == 10
    with pytest.raises(KeyError):
        CURRENT_RULES.benefits_of("VIP")


def test_tier_change_id() -> None:
    known = tier_change_id(42, "/bots/demo", "01JD", 1)
    assert known == tier_change_id(42, "/bots/demo", "01JD", 1)
    assert known == "7f6393fbf3410ff49a38a207851e449a97311722e7249f44d6d8a6e9fd1b0b53"
    causes = [(42, "a", "bc", 1), (42, "ab", "c", 1), (421, "a", "bc", 1), (42, "a", "bc", 11), (42, "a1:b", "c", 1)]
    assert len({tier_change_id(*cause) for cause in causes}) == len(causes)


@pytest.mark.parametrize(
    ("amount", "refunded", "original", "refunded_original", "lost", "left"),
    [
        (999, 0, None, 0, False, 999),
        (999, 998, None, 0, False, 1),
        (999, 999, None, 0, False, 0),
        (999, 1500, None, 0, False, 0),
        (999, 0, None, 0, True, 0),
        (999, 990, 700, 700, False, 0),
        (999, 990, 700, 701, False, 0),
        (999, 990, 700, 699, False, 9),
        (999, 0, 0, 0, False, 999),
        (999, 0, 700, 0, False, 999),
        (999, 10, None, 700, False, 989),
    ],
)
def test_remainder(
    amount: int, refunded: int, original: int | None, refunded_original: int, lost: bool, left: int
) -> None:
    found = remainder(
        amount,
        refunded,
        original_minor=original,
        refunded_original_minor=refunded_original,
        dispute_lost=lost,
    )
    assert found == left


@pytest.mark.parametrize(
    ("last_active", "registered", "status"),
    [
        (timedelta(days=7), None, "active"),
        (timedelta(days=7, microseconds=1), None, "inactive"),
        (timedelta(days=30), timedelta(0), "inactive"),
        (timedelta(days=30, microseconds=1), timedelta(0), "churned"),
        (None, timedelta(days=7), "active"),
        (None, timedelta(days=31), "churned"),
        (None, None, "churned"),
        (timedelta(days=-1), None, "active"),
    ],
)
def test_activity_status(last_active: timedelta | None, registered: timedelta | None, status: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def before(age: timedelta | None) -> datetime | None:
        return None if age is None else now - age

    assert activity_status(before(last_active), before(registered), now) == status


def test_own_actions() -> None:
    assert {event_class.__name__ for event_class in OWN_ACTIONS} == {
        "MessageReceived",
        "CreditsSpent",
        "PaymentSucceeded",
        "ContentViewed",
        "ContentUnlocked",
    }


def test_topics() -> None:
    topics = Topics("one-")
    names = [topic.name for topic in topics]
    assert names == [
        "one-bot.events",
        "one-bot.tier-changes",
        "one-bot.user-aggregates",
        "one-bot.user-ledger",
        "one-bot.tier-rules",
        "one-bot.dead-letters",
        "one-bot.audit-heads",
    ]
    assert (topics.streams_group, topics.projections_group) == ("one-botpulse-streams", "one-botpulse-projections")
    config = {topic.name.removeprefix("one-bot."): topic.config for topic in topics}
    assert config["events"]["message.timestamp.type"] == "LogAppendTime"
    assert config["events"]["max.message.bytes"] == "1048576"
    assert config["dead-letters"]["max.message.bytes"] == "2097152"
    for name in ("user-aggregates", "user-ledger", "tier-rules"):
        assert config[name]["cleanup.policy"] == "compact"
        assert int(config[name]["min.compaction.lag.ms"]) >= 86_400_000
    for name in ("events", "tier-changes", "dead-letters", "audit-heads"):
        assert (config[name]["cleanup.policy"], config[name]["retention.ms"]) == ("delete", "-1")
