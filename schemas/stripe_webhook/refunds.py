"""One name for each refund."""

from __future__ import annotations

import sqlite3

from ..publisher.store import VERSIONS, Store
from .facts import Refund


class RefundBook:
    """One name for each refund, although Stripe tells it in two ways, in any order.

    `refund.created` has an id; `charge.refunded` says by how much a charge's cumulative amount has grown. Of two
    tellings of one amount, one of each kind, the first gives the name: so they are one refund. Durable with a store.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        if store is None:
            self._memory = sqlite3.connect(":memory:", isolation_level=None)
            for script in VERSIONS:
                self._memory.executescript(script)

    async def name(self, refund: Refund) -> str:
        """Return the refund_id that this telling is published with. Raises sqlite3.Error."""
        if self._store is None:
            return _named(self._memory, refund)
        return await self._store.run(lambda connection: _named(connection, refund))


def _named(connection: sqlite3.Connection, refund: Refund) -> str:
    known = connection.execute(
        "SELECT refund_id FROM stripe_refunds WHERE charge_id = ? AND told_as = ?", (refund.charge_id, refund.name)
    ).fetchone()
    if known is not None:
        return str(known[0])
    other_telling = connection.execute(
        """
        SELECT refund_id FROM stripe_refunds AS told
        WHERE charge_id = ? AND amount_minor = ? AND has_id <> ?
          AND NOT EXISTS (
              SELECT 1 FROM stripe_refunds AS paired
              WHERE paired.charge_id = told.charge_id AND paired.refund_id = told.refund_id
                AND paired.has_id <> told.has_id
          )
        ORDER BY position LIMIT 1
        """,
        (refund.charge_id, refund.amount_minor, refund.has_id),
    ).fetchone()
    refund_id = refund.name if other_telling is None else str(other_telling[0])
    connection.execute(
        "INSERT INTO stripe_refunds (charge_id, told_as, has_id, amount_minor, refund_id) VALUES (?, ?, ?, ?, ?)",
        (refund.charge_id, refund.name, refund.has_id, refund.amount_minor, refund_id),
    )
    return refund_id
