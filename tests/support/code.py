"""Copies of the packages, to run them changed."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copied(folder: Path) -> Path:
    """Our packages in `folder`; a process that is started there runs these."""
    for package in ("schemas", "streams", "projections", "deploy"):
        shutil.copytree(ROOT / package, folder / package)
    return folder


def replace(path: Path, old: str, new: str) -> None:
    """Change the one place of a file that reads `old`."""
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name}: {old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new))
