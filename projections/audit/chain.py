"""The chains of the audit trail: each row is hashed with the one before it. Pure.

The hash is SHA-256 of the hash before (nothing for the first row) and the row as a JSON array in UTF-8, written as
Postgres' json_build_array writes it, so that the database alone can prove a chain: `sql/queries/audit.sql`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from projections.audit.facts import FORMAT, Record

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Chain(NamedTuple):
    """A partition of the log, whose facts are one chain."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends."""

    seq: int = 0
    hash: bytes = b""
    log_offset: int = -1


class Row(NamedTuple):
    """A row of audit_log; `before` and `after` are JSON."""

    topic: str
    log_partition: int
    seq: int
    format: int
    log_offset: int
    occurred_at: datetime
    kind: str
    telegram_id: int
    source: str
    event_id: str
    outcome: str
    before: str | None
    after: str | None
    hash: bytes


def link(records: Iterable[Record], heads: dict[Chain, Head]) -> list[Row]:
    """Return the records beyond the chains' ends as the next rows of their chains; `heads` moves to the last."""
    rows = []
    for record in records:
        chain = Chain(record.topic, record.partition)
        head = heads.get(chain) or Head()
        if record.offset <= head.log_offset:
            continue
        row = _row(record, head)
        rows.append(row)
        heads[chain] = Head(row.seq, row.hash, row.log_offset)
    return rows


def _row(record: Record, head: Head) -> Row:
    seq = head.seq + 1
    micros = _microseconds(record.occurred_at)
    before, after = _json(record.before), _json(record.after)
    members = (
        FORMAT, record.topic, record.partition, seq, record.offset, micros, record.kind, record.telegram_id,
        record.source, record.event_id, record.outcome,
    )  # fmt: skip
    return Row(
        record.topic, record.partition, seq, FORMAT, record.offset, record.occurred_at, record.kind,
        record.telegram_id, record.source, record.event_id, record.outcome, before, after,
        _hash(head.hash, members, before, after),
    )  # fmt: skip


def relinked(rows: Iterable[Row], head: Head) -> list[Row]:
    """Return rows of one chain as they would be numbered and hashed if they followed `head` in this order."""
    found = []
    seq, last = head.seq, head.hash
    for row in rows:
        seq += 1
        members = (
            row.format, row.topic, row.log_partition, seq, row.log_offset, _microseconds(row.occurred_at), row.kind,
            row.telegram_id, row.source, row.event_id, row.outcome,
        )  # fmt: skip
        last = _hash(last, members, row.before, row.after)
        found.append(row._replace(seq=seq, hash=last))
    return found


def _hash(last: bytes, members: tuple[Any, ...], before: str | None, after: str | None) -> bytes:
    # The array as json_build_array writes it; what is JSON already is not written a second time.
    return sha256(last + f"{_dumps(members)[:-1]}, {before or 'null'}, {after or 'null'}]".encode()).digest()


def _microseconds(time: datetime) -> int:
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _json(fields: dict[str, Any] | None) -> str | None:
    return None if fields is None else _dumps(fields)


_dumps: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
