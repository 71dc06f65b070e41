"""The folder is shipped twice: as `schemas`, and under another name with pydantic alone."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import schemas

ROOT = Path(schemas.__file__).parent
STANDARD = sys.stdlib_module_names | {"pydantic", "pydantic_core"}
BESIDE_EVENTS = {"log_reading.py": {"aiokafka"}}
"""What a file needs that reading and building events does without."""

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from botpulse_events import activity, charges, codec, dead_letters, limits, tiers, topics
from botpulse_events.partitioner import partition_of
from types import SimpleNamespace
value = open(sys.argv[2], "rb").read()
record = SimpleNamespace(topic="t", partition=partition_of(b"123456789", 8), offset=0, timestamp=1767323046000,
                         key=b"123456789", value=value, headers=())
print(type(codec.Decoder(8).decode(record)).__name__, tiers.tier_of(20, 0))
print(sorted(name for name in sys.modules if name.split(".")[0] in ("schemas", "aiokafka", "orjson", "faust")))
"""


def test_imports_are_relative_inside_and_few_outside() -> None:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                allowed = STANDARD | BESIDE_EVENTS.get(path.name, set())
                assert module.split(".")[0] in allowed, f"{path}: {module}"


def test_the_folder_works_under_another_name(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "botpulse_events", ignore=shutil.ignore_patterns("__pycache__"))
    example = ROOT / "examples" / "payment" / "succeeded" / "v1" / "contract.json"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(example)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines() == ["PaymentSucceeded premium", "[]"]
