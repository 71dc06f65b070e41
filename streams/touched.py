"""One user within one batch: the aggregate that the fold changes, and the way to the user's ledger entries."""

from __future__ import annotations

from typing import Any, Protocol

from .aggregate import UserAggregate
from .ledger import Entry, entry_key


class LedgerStore(Protocol):
    """Where the fold finds ledger entries."""

    def entry(self, key: bytes, kind: str, applied: int) -> Entry:
        """The entry as an aggregate that has applied up to `applied` knows it; an empty one where there is none."""

    def touch(self, key: bytes) -> None:
        """The entry was changed and must be written."""


class TouchedUser:
    """A user whom the batch has an event of.

    `base_offset` is what the user's durable aggregate had applied when the batch began, `known` what it had applied
    before the event at `offset`, which is being folded.
    """

    __slots__ = ("base_offset", "known", "ledger", "offset", "subject", "user")

    def __init__(self, subject: str, user: UserAggregate, ledger: LedgerStore) -> None:
        self.subject = subject
        self.user = user
        self.ledger = ledger
        self.base_offset = self.known = self.offset = user.applied

    def entry(self, kind: str, provider: str, identity: str) -> tuple[bytes, Entry]:
        """The ledger entry of one of this user's identities, with its key."""
        key = entry_key(self.subject, kind, provider, identity)
        return key, self.ledger.entry(key, kind, self.known)

    def put(self, key: bytes, entry: Entry, state: Any) -> None:
        """Make `state` the entry's newest version."""
        entry.put(self.offset, state, self.base_offset)
        self.ledger.touch(key)
