"""The benchmarks' own Kafka and Postgres, in a folder that is removed at the end."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deploy.console import Bar, Interrupts, bar, interruptible, undisturbed
from deploy.kafka import admin, create_topics
from deploy.local import LocalStack, Options, StackInfo
from schemas.errors import ConfigurationError
from schemas.topics import DEFAULT_PARTITIONS, Topics

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """A stack that is up, and how to work with it."""

    stack: LocalStack
    info: StackInfo
    interrupts: Interrupts
    folder: Path
    """For files; gone at the end."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """As asyncio.run, but Ctrl-C ends it in order."""
        return self.interrupts.run(work)

    def fresh_folder(self) -> Path:
        """A folder of one measurement; its name is free as a prefix of topics too."""
        fresh = self.folder / f"run-{secrets.token_hex(4)}"
        fresh.mkdir()
        return fresh

    @contextmanager
    def topics(self, folder: Path) -> Iterator[Topics]:
        """Topics of one measurement, named after its folder, removed after it: the disk holds one log at a time."""
        topics = Topics(f"{folder.name}.")
        self.run(create_topics(self.info.bootstrap_servers, topics, DEFAULT_PARTITIONS))
        yield topics
        self.run(_remove(self.info.bootstrap_servers, topics))


async def _remove(bootstrap_servers: str, topics: Topics) -> None:
    """Remove every topic whose name begins with the prefix of `topics`, others' changelogs included."""
    async with admin(bootstrap_servers) as client:
        names = [name for name in await client.list_topics() if name.startswith(topics.prefix)]
        if names:
            await client.delete_topics(names)


@contextmanager
def bench(home: Path) -> Iterator[Bench]:
    """A stack that is up, Kafka's JVM at full speed, Postgres waiting for the disk; it and its folder are gone after.

    Raises ConfigurationError when another benchmark runs in this home.
    """
    with _alone(home), interruptible("interrupted: the benchmark and its stack are stopped") as interrupts:
        stack = LocalStack(home, Options(benchmark=True))
        try:
            with bar("starting") as shown:
                stack.wipe()
                info = stack.up(_Shown(shown), tied=True, wipe_at_end=True)
            folder = home / "work"
            folder.mkdir()
            yield Bench(stack, info, interrupts, folder)
        finally:
            with undisturbed():
                stack.wipe()


class _Shown:
    """Shows how far the stack is; the first time it fetches Kafka's jars."""

    def __init__(self, shown: Bar) -> None:
        self._shown = shown

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        self._shown.move(done, total or None, step)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One benchmark at a time in a home: two would only measure each other."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home.parent / "bench.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {home.parent} can't be used ({error.strerror}): set BOTPULSE_HOME to another one"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigurationError(
            f"another benchmark is running in {home.parent}: wait for it, or set BOTPULSE_HOME to another folder"
        ) from None
    finally:
        os.close(descriptor)
