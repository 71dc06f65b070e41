"""audit_log and audit_chains: the batch's records at the ends of their chains, in the batch's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from projections.audit.chain import Chain, Head, link
from projections.audit.facts import Record, records
from projections.folds.work import Work, columns
from projections.sql import query


async def apply(connection: asyncpg.Connection, work: Work) -> None:
    """Append the batch's records that lie beyond the ends of their chains.

    What does not is in the trail already: after a rebuild was taken back, its events are folded a second time. The
    names are found in the schema first in search_path: a rebuild writes a trail of its own, to be compared.
    """
    found = records(work)
    if not found:
        return
    heads = await load_heads(connection, found)
    rows = link(found, heads)
    if not rows:
        return
    await connection.execute(query("audit", "append"), *columns(rows))
    moved = [(*chain, head.seq, head.log_offset, head.hash) for chain, head in sorted(heads.items())]
    await connection.execute(query("audit", "move_heads"), *columns(moved))


async def load_heads(connection: asyncpg.Connection, found: Sequence[Record]) -> dict[Chain, Head]:
    """Return the ends of the records' chains, without those that have not begun."""
    chains = sorted({(record.topic, record.partition) for record in found})
    rows = await connection.fetch(query("audit", "load_heads"), *columns(chains))
    return {Chain(row["topic"], row["log_partition"]): Head(row["seq"], row["hash"], row["log_offset"]) for row in rows}
