"""One partition's state in memory: aggregates and ledger entries, kept as bytes until an event touches them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.records import BareRecord

from . import aggregate, ledger
from .aggregate import UserAggregate
from .ledger import Entry

DECODED_AGGREGATES = 4_000
DECODED_ENTRIES = 8_000
"""How many decoded values a partition keeps for the next batch; the rest is decoded again when it is touched."""


class PartitionState:
    """Aggregates and entries of one partition's users.

    `merge_*` take records read back from the changelog topics; `user`, `finish`, `entry` and `touch` serve the fold;
    `changes` gives the records that make the fold durable, and `stored` keeps them once they are acknowledged.
    """

    def __init__(self) -> None:
        self.greatest_applied = -1
        self._users: dict[bytes, bytes] = {}
        self._entries: dict[bytes, bytes] = {}
        self._decoded_users: dict[bytes, UserAggregate] = {}
        self._decoded_entries: dict[bytes, Entry] = {}
        self._touched_users: dict[bytes, UserAggregate] = {}
        self._finished_users: dict[bytes, bytes] = {}
        self._touched_entries: set[bytes] = set()
        self._outdated_users: set[bytes] = set()
        self._outdated_entries: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._users)

    @property
    def size(self) -> int:
        """Bytes of all encoded values; goes through them all."""
        return sum(map(len, self._users.values())) + sum(map(len, self._entries.values()))

    @property
    def lacks_its_ledger(self) -> bool:
        """Whether an aggregate counts purchases or refunds although there is no ledger entry at all."""
        without = aggregate.NO_MONEY
        return not self._entries and any(without not in value for value in self._users.values())

    def users(self) -> Mapping[bytes, bytes]:
        """Every user's encoded aggregate, as stored."""
        return self._users

    def entries(self) -> Mapping[bytes, bytes]:
        """Every encoded ledger entry, as stored."""
        return self._entries

    # -- reading the changelog back

    def merge_users(self, records: Iterable[BareRecord]) -> None:
        """Keep, of a user's records, the one with the highest applied position.

        The last one may be older: a worker that was frozen and came back can have written it over a newer one.
        """
        users, greatest, applied_of = self._users, self.greatest_applied, aggregate.applied_of
        for record in records:
            key, value = record.key, record.value
            assert key is not None
            assert value is not None
            applied = applied_of(value)
            known = users.get(key)
            if known is not None:
                if applied_of(known) > applied:
                    self._outdated_users.add(key)
                    continue
                self._outdated_users.discard(key)
                self._decoded_users.pop(key, None)
            users[key] = value
            if applied > greatest:
                greatest = applied
        self.greatest_applied = greatest

    def merge_entries(self, records: Iterable[BareRecord]) -> None:
        """Keep every version that any of an entry's records holds; which one counts, its aggregate says."""
        entries = self._entries
        for record in records:
            key, value = record.key, record.value
            assert key is not None
            assert value is not None
            known = entries.get(key)
            entries[key] = value if known is None or known == value else self._merged(key, known, value)

    def _merged(self, key: bytes, known: bytes, value: bytes) -> bytes:
        self._decoded_entries.pop(key, None)
        merged = ledger.decode(key, value)
        if merged.merge(ledger.decode(key, known)):
            self._outdated_entries.add(key)
        else:
            self._outdated_entries.discard(key)
        return merged.encode()

    def outdated(self) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
        """Aggregates and entries whose last record in the log lacks something known here: to be written again."""
        users = [(key, self._users[key]) for key in self._outdated_users]
        entries = [(key, self._entries[key]) for key in self._outdated_entries]
        self._outdated_users.clear()
        self._outdated_entries.clear()
        return users, entries

    # -- folding

    def user(self, key: bytes) -> UserAggregate:
        """The user's aggregate, a new one for a user never seen; it will be among the changes."""
        user = self._touched_users.get(key)
        if user is None:
            value = self._finished_users.pop(key, None) or self._users.get(key)
            user = self._decoded_users.get(key)
            if user is None:
                user = aggregate.decode(value) if value is not None else UserAggregate()
            self._touched_users[key] = user
        return user

    def keeps_decoded(self, users: int) -> bool:
        """Whether a batch's aggregates are kept decoded for the next batch, which it touches so many of."""
        return users <= DECODED_AGGREGATES

    def finish(self, key: bytes) -> None:
        """Encode a touched aggregate now, and let go of it.

        For the last event of a user in a batch of very many users: all their aggregates together would push everything
        else out of the processor's caches, and be fetched back one by one for `changes`.
        """
        self._finished_users[key] = self._touched_users.pop(key).encode()

    def entry(self, key: bytes, kind: str, applied: int) -> Entry:
        """The entry as an aggregate that has applied up to `applied` knows it."""
        entry = self._decoded_entries.get(key)
        if entry is None:
            value = self._entries.get(key)
            entry = ledger.decode(key, value) if value is not None else Entry(kind)
            entry.forget_after(applied)
            self._decoded_entries[key] = entry
        return entry

    def touch(self, key: bytes) -> None:
        """The entry will be among the changes."""
        self._touched_entries.add(key)

    def users_of_other_rules(self, version: int) -> list[bytes]:
        """The keys of the users whose tier another version of the rules decided."""
        known = aggregate.rules_marker(version)
        return [key for key, value in self._users.items() if known not in value]

    # -- making it durable

    def changes(self) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
        """The new values of all touched aggregates and entries since the last call of `stored`."""
        users = [*self._finished_users.items()]
        users += [(key, user.encode()) for key, user in self._touched_users.items()]
        entries = [(key, self._decoded_entries[key].encode()) for key in self._touched_entries]
        return users, entries

    def stored(self, users: list[tuple[bytes, bytes]], entries: list[tuple[bytes, bytes]], applied: int = -1) -> None:
        """The changes, up to offset `applied`, are acknowledged: keep them as bytes, and of the decoded ones only a
        bounded number."""
        self.greatest_applied = max(self.greatest_applied, applied)
        self._users.update(users)
        self._entries.update(entries)
        if not self.keeps_decoded(len(users) + len(self._decoded_users)):
            self._decoded_users.clear()
        if self.keeps_decoded(len(users)):
            self._decoded_users.update(self._touched_users)
        self._touched_users.clear()
        self._finished_users.clear()
        self._touched_entries.clear()
        if len(self._decoded_entries) > DECODED_ENTRIES:
            self._decoded_entries.clear()
