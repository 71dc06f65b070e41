"""The ledger: what is known of every business identity of a user, as versions tagged with log offsets.

A charge with its refunds and disputes, a refund, a dispute, a failed attempt, an auto-recharge trigger: each has an
entry of its own on the compacted topic `bot.user-ledger`, so that nobody's history grows a record.

An entry and its user's aggregate are two records, and a crash may leave one without the other. So an entry is read
*as the aggregate knows it*: versions beyond the aggregate's applied offset are not there yet and will be made again,
alike, by the same fold. For that an entry keeps, besides its newest version, the one that held when the batch began
(`base_offset`: what the durable aggregate had applied).

The key is `<telegram_id>:<kind>:<provider>:<id>`; the value, version 1, is `{"v":1,"versions":[[offset, state],...]}`
with the states below as arrays in the order of their fields.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

Order = tuple[int, str, str]
"""(time in microseconds, source, id): among facts of one identity and amount the smallest supplies the fields."""

Original = tuple[str, str]
"""(minor units as hexadecimal text, currency). An original amount may be of any size: JSON numbers may not."""


class ChargeState(NamedTuple):
    """A charge and what its refunds and disputes come to. `amount_cents` is None until the payment is known."""

    amount_cents: int | None = None
    order: Order | None = None
    original: Original | None = None
    refunded_cents: int = 0
    refunded_originals: tuple[Original, ...] = ()
    lost_disputes: int = 0


class RefundState(NamedTuple):
    """A refund; `amount_cents` is None while only its failure is known."""

    amount_cents: int | None = None
    order: Order | None = None
    charge_id: str = ""
    original: Original | None = None
    failed: bool = False


class DisputeState(NamedTuple):
    """A dispute: the opening's amount and order, and the closing that counts (the latest)."""

    amount_cents: int | None = None
    order: Order | None = None
    closing: Order | None = None
    closing_charge_id: str = ""
    lost: bool = False


class AmountState(NamedTuple):
    """A failed attempt or a trigger: only its amount matters, to tell a conflict."""

    amount_cents: int | None = None


State = ChargeState | RefundState | DisputeState | AmountState

KINDS: dict[str, type[State]] = {
    "charge": ChargeState,
    "refund": RefundState,
    "dispute": DisputeState,
    "attempt": AmountState,
    "trigger": AmountState,
}


def entry_key(telegram_id: str, kind: str, provider: str, identity: str) -> bytes:
    """The entry's key. Kind and provider are closed lists without a colon, so that no two identities share one."""
    return f"{telegram_id}:{kind}:{provider}:{identity}".encode()


class Entry:
    """One identity's versions, oldest first."""

    __slots__ = ("kind", "versions")

    def __init__(self, kind: str, versions: list[tuple[int, State]] | None = None) -> None:
        self.kind = kind
        self.versions = versions if versions is not None else []

    @property
    def newest(self) -> State:
        """The newest version's state, the empty state where there is none."""
        return self.versions[-1][1] if self.versions else KINDS[self.kind]()

    def forget_after(self, applied: int) -> None:
        """Drop the versions that the owner's aggregate, which has applied up to `applied`, does not know yet."""
        while self.versions and self.versions[-1][0] > applied:
            self.versions.pop()

    def put(self, offset: int, state: State, base_offset: int) -> None:
        """Make `state` the newest version, keeping of the earlier ones only the newest up to `base_offset`."""
        kept: list[tuple[int, State]] = []
        for version in self.versions:
            if version[0] <= base_offset:
                kept = [version]
        self.versions = [*kept, (offset, state)]

    def merge(self, other: Entry) -> bool:
        """Add the versions that only `other` has; returns whether there were any.

        Two records of one entry come from two writers at most: the fold is the same for both, so versions of one
        offset are alike.
        """
        known = {offset for offset, _ in self.versions}
        added = [version for version in other.versions if version[0] not in known]
        if added:
            self.versions = sorted([*self.versions, *added], key=lambda version: version[0])
        return bool(added)

    def encode(self) -> bytes:
        """The value on bot.user-ledger."""
        versions = [(offset, tuple(state)) for offset, state in self.versions]
        # The slice is a copy of exactly the size needed: the encoder's own result keeps the buffer that it was written
        # in, many times as large, and entries are kept by the million.
        return orjson.dumps({"v": 1, "versions": versions}, option=orjson.OPT_APPEND_NEWLINE)[:-1]


def decode(key: bytes, value: bytes) -> Entry:
    """Read an entry back from its record."""
    kind = key.split(b":", 2)[1].decode()
    make = KINDS[kind]
    return Entry(kind, [(offset, make(*map(_tuples, state))) for offset, state in orjson.loads(value)["versions"]])


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
