"""How commands talk: results to standard output, everything else to standard error."""

from __future__ import annotations

import asyncio
import signal
import sys
import types
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

T = TypeVar("T")


def print_json(content: object) -> None:
    """The one JSON object of `--json`."""
    sys.stdout.buffer.write(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS))
    sys.stdout.buffer.flush()


def say(line: str) -> None:
    """A line about what is going on, on standard error."""
    typer.echo(line, err=True)


class Bar:
    """One bar on the terminal; nothing where standard error is none."""

    def __init__(self, progress: Progress, title: str, total: float | None) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def move(self, done: float, total: float | None = None, title: str | None = None) -> None:
        """Show that `done` of `total` is done."""
        if total is not None:
            self._progress.update(self._task, total=total)
        if title is not None:
            self._progress.update(self._task, description=title)
        self._progress.update(self._task, completed=done)


@contextmanager
def bar(title: str, total: float | None = None) -> Iterator[Bar]:
    """A progress bar that is gone afterwards."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, title, total)


class _SignalledError(BaseException):  # not to be caught on the way as an error
    def __init__(self, number: int) -> None:
        self.number = number


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns a signal into an exception, and inside `run` into the cancellation of what runs."""

    def __init__(self) -> None:
        self._cancel: Callable[[], object] | None = None
        self._number = 0

    def handle(self, number: int, frame: types.FrameType | None) -> None:
        """The handler of the signals."""
        if self._cancel is None:
            raise _SignalledError(number)
        # An exception out of nowhere would leave an event loop in pieces.
        self._number = number
        self._cancel()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """As asyncio.run, but every one of the signals cancels the work."""

        async def main() -> T:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            try:
                return await work
            finally:
                self._cancel = None

        try:
            return asyncio.run(main())
        except asyncio.CancelledError:
            raise _SignalledError(self._number) from None


@contextmanager
def interruptible(message: str) -> Iterator[Interrupts]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into an orderly end with the shell's usual exit status."""
    interrupts = Interrupts()
    before = {
        number: signal.signal(number, interrupts.handle)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN  # as under nohup
    }
    try:
        yield interrupts
    except _SignalledError as signalled:
        say(f"botpulse: {message}")
        raise typer.Exit(128 + signalled.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """No second Ctrl-C cuts off what is being stopped."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
