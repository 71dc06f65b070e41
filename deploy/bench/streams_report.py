"""What `botpulse bench streams` says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from deploy.bench.cases import KEEPING, MEANING
from deploy.bench.streams import Result
from deploy.bench.tables import WITH_START, Table, per_second

MANY: Final = 50_000
"""With fewer users a worker's buffers outweigh its state, and bytes a user say nothing."""


def table(results: Sequence[Result]) -> Table:
    """A row a case."""
    rows = []
    stock = _stock(results)
    for result in results:
        run = result.median
        keeps = result.case.state in KEEPING
        rows.append(
            (
                MEANING[result.case.state],
                f"{result.users:,}",
                str(result.case.workers),
                f"{run.rate.events:,}",
                per_second(run.rate),
                f"{run.rate.per_cpu_second:,.0f}",
                f"{run.rate.busy:.0%}",
                f"{run.rate.per_second / stock:.1f}" if stock else "",
                f"{run.peak_bytes / 1e6:,.0f}",
                f"{run.state_bytes / result.users:,.0f}" if keeps and result.users >= MANY else "",
                f"{run.first_event_seconds:.1f}",
            )
        )
    headings = (
        "", "users", "workers", "events measured", "events/s", "events per CPU second", "busy", "times stock Faust",
        "peak MB", "bytes a user", "seconds to first batch",
    )  # fmt: skip
    return Table("Stream service", headings, rows, _notes(results))


def _notes(results: Sequence[Result]) -> list[str]:
    notes = [f"Median of {len(results[0].runs)} runs."] if results and len(results[0].runs) > 1 else []
    full = sorted((r for r in results if r.case.state in KEEPING and r.case.workers == 1), key=lambda r: r.users)
    if len(full) > 1:
        cost = full[0].median.rate.per_cpu_second / full[-1].median.rate.per_cpu_second
        notes.append(f"An event costs {cost:.2f} times the CPU at {full[-1].users:,} users as at {full[0].users:,}.")
    if any(result.median.rate.with_start for result in results):
        notes.append(WITH_START)
    return notes


def _stock(results: Sequence[Result]) -> float | None:
    return next((r.median.rate.per_second for r in results if r.case.state == "stock"), None)


def content(results: Sequence[Result]) -> list[dict[str, Any]]:
    """For `--json`: every case with all its runs."""
    stock = _stock(results)
    return [
        {
            "state": result.case.state,
            "workers": result.case.workers,
            "users": result.users,
            "events": result.case.events,
            "events_per_second": round(result.median.rate.per_second, 1),
            "times_stock_faust": round(result.median.rate.per_second / stock, 2) if stock else None,
            "bytes_a_user": round(result.median.state_bytes / result.users, 1)
            if result.case.state in KEEPING
            else None,
            "runs": [
                {
                    "events_measured": run.rate.events,
                    "seconds": round(run.rate.seconds, 3),
                    "cpu_seconds": round(run.rate.cpu_seconds, 2),
                    "events_per_second": round(run.rate.per_second, 1),
                    "events_per_cpu_second": round(run.rate.per_cpu_second, 1),
                    "seconds_to_first_batch": round(run.first_event_seconds, 2),
                    "peak_bytes": run.peak_bytes,
                    "state_bytes": run.state_bytes,
                }
                for run in result.runs
            ],
        }
        for result in results
    ]
