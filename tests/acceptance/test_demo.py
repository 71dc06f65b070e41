"""`botpulse demo` on a small story, as a user runs it: from nothing to agreement, and no process left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.stack import open_folder


async def test_the_demo_agrees_and_leaves_nothing_behind() -> None:
    with open_folder() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "DATABASE_", "BOTPULSE_"))}

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [str(Path(sys.executable).with_name("botpulse")), "demo", "--users=150", "--events=3000"],
                env={**environment, "BOTPULSE_HOME": str(folder / "home")},
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )

        done = await asyncio.to_thread(run)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "150 users agree" in done.stdout
        left = [
            process.info["cmdline"]
            for process in psutil.process_iter(["cmdline"])
            if str(folder) in " ".join(process.info["cmdline"] or [])
        ]
        assert left == []
