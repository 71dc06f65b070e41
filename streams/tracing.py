"""What the batches of a lane lead to, as parts of the traces of the events that led to it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from schemas.process.tracing import Traced, Traces

from .batch import Outcome


def hand_on(traces: Traces, traced: Sequence[Traced], outcome: Outcome) -> None:
    """Give every tier change that a traced event caused the header of that event's span."""
    by_identity = {one.identity: one for one in traced}
    for number, change in enumerate(outcome.tier_changes):
        cause = json.loads(change.value or b"{}")["data"]["caused_by"]
        one = by_identity.get((cause["source"], cause["id"]))
        if one is not None:
            outcome.tier_changes[number] = change._replace(headers=[*change.headers, traces.header(one)])
