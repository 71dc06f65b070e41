"""The short campaign: 50 faults upon both services, then every total exact. `make faults` is the long one.

A failure names the seed: `python -m tests.faults --seed N --faults 50 --rate 300 --gap 1.5` injects the same
faults. The rate is far below what the services do, so that the time until nothing lags tells how they recover, not how
fast the machine is.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from projections.registry import PROJECTIONS

FAULTS = 50
RATE = 300
ROOT = Path(__file__).parents[2]


async def test_every_total_is_exact_after_fifty_faults(capsys: pytest.CaptureFixture[str]) -> None:
    seed = secrets.randbelow(1_000_000)
    with capsys.disabled():
        print(f"\nfault campaign with seed {seed}", flush=True)  # noqa: T201
    command = [sys.executable, "-m", "tests.faults", f"--seed={seed}", f"--faults={FAULTS}", f"--rate={RATE}"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--gap=1.5", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
        )

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    report = json.loads(done.stdout)
    assert report["injected"] == FAULTS
    assert report["figures"]["books"]["events"] > 5_000
    for projection in PROJECTIONS:
        assert any(report["figures"]["rows"][table] for table in projection.tables), projection.name
