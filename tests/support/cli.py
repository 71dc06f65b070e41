"""The command line as people run it: a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

_FOREIGN = ("KAFKA_", "DATABASE_URL", "BOTPULSE_", "STREAMS_", "PROJECTIONS_")
_SECONDS = 60.0


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object of `--json`."""
        return json.loads(self.out)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings and no others of ours."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}, **settings}


async def botpulse(settings: Mapping[str, str], *arguments: str, stdin: bytes = b"") -> Ran:
    """Run `botpulse` with these settings; fails when it takes longer than a minute."""
    return await _run(settings, "-c", "from deploy.cli import main; main()", *arguments, stdin=stdin)


async def program(settings: Mapping[str, str], module: str, *arguments: str) -> Ran:
    """Run `python -m module` with these settings; fails when it takes longer than a minute."""
    return await _run(settings, "-m", module, *arguments)


async def _run(settings: Mapping[str, str], *words: str, stdin: bytes = b"") -> Ran:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        env=environment(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), _SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"{' '.join(words)} took longer than {_SECONDS:.0f} s") from None
    assert process.returncode is not None
    ran = Ran(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in ran.err, ran.err
    return ran
