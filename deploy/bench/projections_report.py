"""What `botpulse bench projections` says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from deploy.bench.measuring import middle
from deploy.bench.projections import Kind, Result
from deploy.bench.tables import WITH_START, Table, per_second

MEANING: Final[dict[Kind, str]] = {
    "projections": "projections, into all tables",
    "each": "one row a statement, a commit an event",
    "batch": "one row a statement, a commit every 500",
    "copy": "one COPY into one table without index",
}


def median(runs: Sequence[Result]) -> Result:
    """The run in the middle by its rate."""
    return runs[middle([run.rate.per_second for run in runs])]


def table(results: Sequence[Sequence[Result]]) -> Table:
    """A row a kind."""
    medians = [median(runs) for runs in results]
    ours = next((result.rate.per_second for result in medians if result.kind == "projections"), None)
    rows = []
    for result in medians:
        found = result.rate
        rows.append(
            (
                MEANING[result.kind],
                f"{found.events:,}",
                per_second(found),
                f"{found.per_cpu_second:,.0f}",
                f"{found.busy:.0%}",
                f"{found.server_cpu_seconds / found.seconds:.0%}",
                f"{ours / found.per_second:.2f}" if ours and result.kind != "projections" else "",
                f"{result.peak_bytes / 1e6:,.0f}" if result.peak_bytes is not None else "",
                f"{result.first_event_seconds:.1f}" if result.first_event_seconds is not None else "",
            )
        )
    headings = (
        "", "events measured", "events/s", "events per CPU second", "busy", "Postgres busy", "projections times this",
        "peak MB", "seconds to first batch",
    )  # fmt: skip
    notes = [f"Median of {len(results[0])} runs."] if results and len(results[0]) > 1 else []
    if any(result.rate.with_start for result in medians):
        notes.append(WITH_START)
    return Table("Projections", headings, rows, notes)


def content(results: Sequence[Sequence[Result]]) -> list[dict[str, Any]]:
    """For `--json`: every kind with all its runs."""
    return [
        {
            "kind": runs[0].kind,
            "events_per_second": round(median(runs).rate.per_second, 1),
            "runs": [asdict(run) for run in runs],
        }
        for runs in results
    ]
