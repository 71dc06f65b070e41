"""The files under schemas/published/: written, and compared with what the code says now."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import schemas
from deploy.contract.asyncapi import asyncapi
from deploy.contract.compatibility import narrowed
from deploy.contract.json_schemas import WIRE_TYPES, json_schema, name_of
from schemas.errors import ConfigurationError

FOLDER: Final = Path(schemas.__file__).parent / "published"
ASYNCAPI: Final = "asyncapi.json"


@dataclass
class Comparison:
    """What the code says against the files: `breaking` must not be, `stale` files are to be written again."""

    breaking: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def compare(folder: Path = FOLDER) -> Comparison:
    """Compare. Raises ConfigurationError for a file that is no JSON."""
    comparison = Comparison()
    wanted = _wanted()
    present = {path.name for path in folder.glob("*.json")}
    for name in sorted(present | wanted.keys()):
        if name not in wanted:
            comparison.breaking.append(f"{name.removesuffix('.json')}: the event type is gone")
        elif name not in present:
            comparison.stale.append(name)
        else:
            old = _read(folder / name)
            if name != ASYNCAPI:
                event = name.removesuffix(".json")
                comparison.breaking += [f"{event}: {finding}" for finding in narrowed(old, wanted[name])]
            if old != wanted[name]:
                comparison.stale.append(name)
    return comparison


def export(folder: Path = FOLDER) -> list[str]:
    """Write what differs; returns the names. Files of types that are gone stay: see `compare`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in _wanted().items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            written.append(name)
    return written


def _wanted() -> dict[str, dict[str, Any]]:
    return {**{name_of(event_type): json_schema(event_type) for event_type in WIRE_TYPES}, ASYNCAPI: asyncapi()}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
