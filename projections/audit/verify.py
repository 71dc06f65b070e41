"""The audit trail proven: every chain walked by the database, row by row, and compared with the published heads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import asyncpg

from projections.audit.chain import Chain
from projections.audit.heads import PublishedHead
from projections.sql import query

ROWS_A_STEP: Final = 50_000


class Break(NamedTuple):
    """The first place of a chain that can't be as it was written."""

    chain: Chain
    seq: int
    what: str


@dataclass(slots=True)
class Proof:
    """What was walked, and what is wrong."""

    rows: dict[Chain, int] = field(default_factory=dict)
    """How far each chain reaches."""
    published: int = 0
    """Heads that were compared."""
    breaks: list[Break] = field(default_factory=list)
    """At most one a chain."""


async def prove(
    connection: asyncpg.Connection,
    published: Sequence[PublishedHead],
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Proof:
    """Walk every chain, of one moment, and compare it with heads that were read before the call.

    `progress` gets the rows walked and the rows there are.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        chains = await connection.fetch(query("audit", "chains"))
        total, done = sum(row["last_row"] for row in chains), 0
        proof = Proof(published=len(published))
        for row in chains:
            chain = Chain(row["topic"], row["log_partition"])
            proof.rows[chain] = row["last_row"]
            found = await _walk(connection, chain, row, lambda walked: progress(done + walked, total))  # noqa: B023
            if found is not None:
                proof.breaks.append(found)
            done += row["last_row"]
        broken = {found.chain for found in proof.breaks}
        proof.breaks += [found for found in await _compare(connection, proof, published) if found.chain not in broken]
        proof.breaks.sort()
        return proof


async def _walk(
    connection: asyncpg.Connection, chain: Chain, ends: asyncpg.Record, progress: Callable[[int], object]
) -> Break | None:
    after, before = 0, b""
    while after < ends["last_row"]:
        upto = min(after + ROWS_A_STEP, ends["last_row"])
        wrong = await connection.fetchrow(query("audit", "first_break"), *chain, after, before, upto)
        if wrong is not None:
            if wrong["found"] != wrong["expected"]:
                return Break(chain, wrong["expected"], "the row is missing")
            return Break(
                chain, wrong["found"], "the row's hash is not that of the row and the one before: one was changed"
            )
        (last,) = await connection.fetch(query("audit", "hashes"), [chain.topic], [chain.partition], [upto])
        if last["hash"] is None:
            return Break(chain, upto, "the row is missing")
        after, before = upto, last["hash"]
        progress(after)
    if ends["seq"] != ends["last_row"]:
        return Break(chain, min(ends["seq"] or 0, ends["last_row"]) + 1, "audit_chains names another end of the chain")
    if ends["hash"] != before:
        return Break(chain, ends["seq"], "audit_chains has another hash of the chain's last row")
    return None


async def _compare(connection: asyncpg.Connection, proof: Proof, published: Sequence[PublishedHead]) -> Iterable[Break]:
    first: dict[Chain, Break] = {}
    for start in range(0, len(published), ROWS_A_STEP):
        some = published[start : start + ROWS_A_STEP]
        rows = await connection.fetch(
            query("audit", "hashes"),
            [head.chain.topic for head in some],
            [head.chain.partition for head in some],
            [head.seq for head in some],
        )
        stored = {(Chain(row["topic"], row["log_partition"]), row["seq"]): row["hash"] for row in rows}
        for head in some:
            if stored[head.chain, head.seq] == head.hash:
                continue
            end = proof.rows.get(head.chain, 0)
            if head.seq > end:
                found = Break(
                    head.chain,
                    end + 1,
                    f"the chain ends before it, but row {head.seq} was published: rows were removed, or the database "
                    "is an older copy that has not caught up with the log",
                )
            else:
                found = Break(head.chain, head.seq, "another hash was published: the chain was written anew")
            if head.chain not in first or found.seq < first[head.chain].seq:
                first[head.chain] = found
    return first.values()
