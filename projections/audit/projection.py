"""audit_log and audit_chains: the batch's records at the ends of their chains, in the batch's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from projections.audit.chain import Chain, Head, Row, link
from projections.audit.facts import Record, records
from projections.folds.work import Work, columns
from projections.sql import query


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Append the batch's records. Only the live tables' writer calls this; a rebuild calls `compare`."""
    found = records(work)
    if not found:
        return
    heads = await load_heads(connection, found)
    rows = link(found, heads)
    await connection.execute(query("audit", "append"), *columns(rows))
    moved = [(*chain, head.seq, head.log_offset, head.hash) for chain, head in sorted(heads.items())]
    await connection.execute(query("audit", "move_heads"), *columns(moved))


async def load_heads(connection: asyncpg.Connection, found: Sequence[Record]) -> dict[Chain, Head]:
    """Return the ends of the records' chains, without those that have not begun."""
    chains = sorted({(record.topic, record.partition) for record in found})
    rows = await connection.fetch(query("audit", "load_heads"), *columns(chains))
    return {Chain(row["topic"], row["log_partition"]): Head(row["seq"], row["hash"], row["log_offset"]) for row in rows}


async def compare(connection: asyncpg.Connection, work: Work, heads: dict[Chain, Head]) -> list[Row]:
    """Return the rows that a second fold of the log has and the trail has not, or has otherwise.

    `heads` belongs to the second fold: empty at its begin, moved by this. A row beyond the trail's own end is no
    difference, the live writer has yet to come to it. To be called by a role that may read the trail (the owner).
    """
    rows = link(records(work), heads)
    if not rows:
        return []
    places = columns([(row.topic, row.log_partition, row.seq, row.hash) for row in rows])
    differing = {tuple(place) for place in await connection.fetch(query("audit", "differing"), *places)}
    return [row for row in rows if (row.topic, row.log_partition, row.seq) in differing]
