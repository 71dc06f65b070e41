"""One real Kafka and one real Postgres for a whole run of the tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import LocalStack, Options


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that everybody can look into, as pytest's own can't be: root's servers run as `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="botpulse-tests-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_stack() -> Iterator[LocalStack]:
    """A stack that ends with this process, however that ends, and takes its data with it."""
    with open_folder() as folder:
        stack = LocalStack(folder / "stack", Options(durable=False))
        try:
            stack.up(tied=True, wipe_at_end=True)
            yield stack
        finally:
            stack.wipe()
