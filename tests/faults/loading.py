"""The campaign's side of the load."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.faults.report import CampaignError


class Loading:
    """The child that publishes."""

    def __init__(self, tree: Path, config: dict[str, Any], log: Path) -> None:
        self.acknowledged = 0
        self.fingerprint = ""
        self._tree = tree
        self._config = config
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to publish."""
        with self._log.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.faults.load",
                json.dumps(self._config),
                cwd=self._tree,
                env={key: value for key, value in os.environ.items() if not key.startswith(("KAFKA_", "BOTPULSE_"))},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            self.acknowledged = told["acknowledged"]
            self.fingerprint = told.get("fingerprint", "")

    @property
    def over(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.returncode is not None

    async def stop(self) -> None:
        """Let it stop, and return when its books are written. Raises CampaignError when it failed."""
        assert self._process is not None
        assert self._process.stdin is not None
        if not self.over:
            self._process.stdin.close()
        await self.ended()

    async def ended(self, seconds: float | None = 180) -> None:
        """Wait for its end. Raises CampaignError when it failed."""
        assert self._process is not None
        assert self._reading is not None
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            raise CampaignError(f"the load did not end within {seconds:.0f} s") from None
        await self._reading
        if self._process.returncode or not self.fingerprint:
            tail = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise CampaignError(f"the load failed: {' '.join(tail)}")

    async def failed(self) -> None:
        """Raise CampaignError: it has ended, and nobody had told it to."""
        await self.ended()
        raise CampaignError("the load ended by itself")

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._reading is not None:
            self._reading.cancel()
