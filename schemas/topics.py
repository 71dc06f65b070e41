"""The topics: their names, partitions and broker settings.

A topic's partition count never changes; growth is a new topic with a copy and a cut-over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import AfterValidator

from .errors import ConfigurationError

METADATA_MAX_AGE_MS: Final = 5_000
"""How long a member of a group believes what it knows of topics. A leader that has asked a broker just after its start
may know of no partitions at all, and deals out none: nobody works until it has asked again (by default after 300 s)."""
DEFAULT_PARTITIONS: Final = 8

_MIB: Final = 1024 * 1024
_KEPT_FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# A frozen writer that comes back may write an old value over a newer one. A restore keeps the newer one, as
# long as compaction has not removed it: a day is time enough to notice.
_COMPACTED: Final = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(24 * 60 * 60 * 1000),
    "max.message.bytes": str(_MIB),
}
_BROKER_TIME: Final = {"message.timestamp.type": "LogAppendTime"}


_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{0,200}")


def legal_prefix(prefix: str) -> str:
    """Return the prefix. Raises ValueError where Kafka can't have topics of that name."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "a prefix of topics has only letters a-z and A-Z, digits, '.', '_' and '-', at most 200 of them"
        )
    return prefix


Prefix = Annotated[str, AfterValidator(legal_prefix)]
"""What is put before every topic and group name, of a settings class."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `partitions` is None where it is the installation's choice (default DEFAULT_PARTITIONS).

    All of these have the same count, so that a key lies on the same partition in each.
    """

    name: str
    config: dict[str, str]
    partitions: int | None
    meaning: str

    @property
    def is_kept_for_ever(self) -> bool:
        """Whether no record of it is ever removed, neither by age nor by a newer one of its key."""
        return self.config.items() >= _KEPT_FOR_EVER.items()


class Topics:
    """All topics and consumer groups of an installation; `prefix` keeps those on one broker apart."""

    @classmethod
    def from_environment(cls) -> Self:
        """Those of BOTPULSE_TOPIC_PREFIX. Raises ConfigurationError for a prefix that Kafka can't have."""
        try:
            return cls(legal_prefix(os.environ.get("BOTPULSE_TOPIC_PREFIX", "")))
        except ValueError as error:
            raise ConfigurationError(f"setting BOTPULSE_TOPIC_PREFIX: {error}") from None

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.events = Topic(
            f"{prefix}bot.events",
            {**_KEPT_FOR_EVER, **_BROKER_TIME, "max.message.bytes": str(_MIB)},
            None,
            "what the bot sends: the truth that everything else is folded from",
        )
        self.tier_changes = Topic(
            f"{prefix}bot.tier-changes",
            {**_KEPT_FOR_EVER, **_BROKER_TIME, "max.message.bytes": str(_MIB)},
            None,
            "what streams decides: one event a change of a user's tier",
        )
        self.user_aggregates = Topic(
            f"{prefix}bot.user-aggregates", dict(_COMPACTED), None, "the newest aggregate of every user"
        )
        self.user_ledger = Topic(
            f"{prefix}bot.user-ledger",
            dict(_COMPACTED),
            None,
            "the newest state of every charge, keyed by user and charge",
        )
        self.tier_rules = Topic(
            f"{prefix}bot.tier-rules",
            {**_COMPACTED, **_BROKER_TIME},
            1,
            "the version of the tier rules that every user is to be measured by at once",
        )
        self.dead_letters = Topic(
            f"{prefix}bot.dead-letters",
            {**_KEPT_FOR_EVER, **_BROKER_TIME, "max.message.bytes": str(2 * _MIB)},
            1,
            "what was refused: the original bytes and why",
        )
        self.audit_heads = Topic(
            f"{prefix}bot.audit-heads",
            {**_KEPT_FOR_EVER, **_BROKER_TIME, "max.message.bytes": str(_MIB)},
            1,
            "the heads of the audit log's hash chains",
        )
        self.streams_group = f"{prefix}botpulse-streams"
        self.projections_group = f"{prefix}botpulse-projections"

    def __iter__(self) -> Iterator[Topic]:
        return iter(
            (
                self.events,
                self.tier_changes,
                self.user_aggregates,
                self.user_ledger,
                self.tier_rules,
                self.dead_letters,
                self.audit_heads,
            )
        )
