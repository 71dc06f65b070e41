"""Results as a table: on the terminal, in Markdown, in a document between its marks."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable

from deploy.bench.measuring import Rate
from schemas.errors import ConfigurationError

WITH_START: Final = "(*) So few events that the start of the process is in the rate."


def per_second(rate: Rate) -> str:
    """Events a second, marked where the start is in it."""
    return f"{rate.per_second:,.0f}{' (*)' if rate.with_start else ''}"


@dataclass(frozen=True)
class Table:
    """Headings and rows of text; the first column is text, the others are figures. `notes` come below it."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def show(self, console: Console) -> None:
        """Print it."""
        shown = RichTable(title=self.title, title_justify="left", title_style="bold")
        for number, heading in enumerate(self.headings):
            shown.add_column(heading, justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            shown.add_row(*row)
        console.print(shown)
        for note in self.notes:
            console.print(note)

    def markdown(self) -> str:
        """The table as Markdown, with its notes."""
        lines = [
            _line(self.headings),
            _line(["---" if not number else "---:" for number in range(len(self.headings))]),
            *map(_line, self.rows),
        ]
        if self.notes:
            lines += ["", " ".join(self.notes)]
        return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def machine() -> str:
    """The machine class in one line: what a figure means nothing without."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({_processor()}) shared by broker, database and workers, {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}; "
        f"load before the run {load:.1f}; {datetime.now(UTC):%Y-%m-%d}."
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return " ".join(found[1].split()) if found else platform.processor() or "unknown"


def put_into(document: Path, mark: str, text: str) -> None:
    """Replace what stands between `<!-- begin MARK -->` and `<!-- end MARK -->` in a document.

    Raises ConfigurationError when the document or its marks are missing.
    """
    head, _, tail = place_in(document, mark)
    document.write_text(f"{head}\n{text}\n{tail}", encoding="utf-8")


def place_in(document: Path, mark: str) -> tuple[str, str, str]:
    """What stands up to the mark, between the two and from the second one on; raises as `put_into`."""
    try:
        content = document.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--into: {document} can't be read: {error.strerror}") from None
    begin, end = f"<!-- begin {mark} -->", f"<!-- end {mark} -->"
    head, found, rest = content.partition(begin)
    between, closed, after = rest.partition(end)
    if not (found and closed):
        raise ConfigurationError(f"--into: {document} has no lines {begin} and {end} to put the table between")
    return head + begin, between, end + after
