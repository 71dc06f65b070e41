"""What a demo with --keep has left running, so that the next one can end it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from deploy.demo.services import STOP_SECONDS
from deploy.local import LocalStack


def remember(home: Path, pids: Mapping[str, int]) -> None:
    """Note the services' processes; a pid with its start time names one process for ever."""
    noted = {name: [pid, psutil.Process(pid).create_time()] for name, pid in pids.items()}
    _file(home).write_text(json.dumps(noted), encoding="utf-8")


def forget(home: Path) -> None:
    """Nothing is kept."""
    _file(home).unlink(missing_ok=True)


def stop_kept(home: Path) -> bool:
    """Stop the services and the stack of a kept demo; whether anything was running."""
    running = []
    try:
        noted = json.loads(_file(home).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        noted = {}
    for pid, started in noted.values():
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < 1:
                process.terminate()
                running.append(process)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(running, timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    forget(home)
    return LocalStack(home).down() or bool(running)


def _file(home: Path) -> Path:
    # Beside the home, which is wiped.
    return home.with_name("demo.services.json")
