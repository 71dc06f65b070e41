"""The folder is shipped twice: as `schemas`, and as botpulse-events, whose events need pydantic alone."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

import schemas

ROOT = Path(schemas.__file__).parent
STANDARD = sys.stdlib_module_names | {"pydantic", "pydantic_core"}
PYDANTIC = ("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection")
"""What `pip install pydantic` brings."""
OTHERS: dict[str, set[str]] = {
    "kafka": {"aiokafka"},
    "plain.py": {"typing_extensions"},
    "process": {"aiohttp", "opentelemetry", "prometheus_client", "structlog"},
    "publisher": {"aiokafka", "prometheus_client"},
    "tier_changes.py": {"aiokafka"},
    "adapters": {"aiogram", "telegram"},
    "stripe_webhook": {"starlette", "stripe"},
}
"""What a part may need that reading and building events does without."""

PROGRAM = """
import sys
import schemas  # the bot's own
from botpulse_events import activity, charges, codec, dead_letters, limits, tiers, topics
from botpulse_events.partitioner import partition_of
from types import SimpleNamespace
value = open(sys.argv[1], "rb").read()
record = SimpleNamespace(topic="t", partition=partition_of(b"123456789", 8), offset=0, timestamp=1767323046000,
                         key=b"123456789", value=value, headers=())
print(type(codec.Decoder(8).decode(record)).__name__, tiers.tier_of(20, 0), schemas.WHOSE)
print(sorted(name for name in sys.modules if name.split(".")[0] in ("aiokafka", "orjson", "faust")))
"""


def test_imports_are_relative_inside_and_few_outside() -> None:
    for path in ROOT.rglob("*.py"):
        allowed = STANDARD | OTHERS.get(path.relative_to(ROOT).parts[0], set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                assert module.split(".")[0] in allowed, f"{path}: {module}"


def test_what_reading_and_building_events_imports_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[<>=]", needed)[0].replace("-", "_") for needed in project["dependencies"]}
    parts = {"plain.py", "kafka", "tier_changes.py"}
    assert {"pydantic"}.union(*(OTHERS[part] for part in parts)) == declared


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("botpulse_events-*.whl")
    return built


def test_the_wheel_has_the_folders_code_data_and_types(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        shipped = {name.removeprefix("botpulse_events/") for name in archive.namelist() if ".dist-info/" not in name}
    here = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.suffix in (".py", ".json")}
    assert shipped == here | {"py.typed"}


def test_the_wheel_works_beside_a_bots_own_schemas_with_pydantic_alone(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("WHOSE = 'the bot'")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    for name in PYDANTIC:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        origin = Path(found.origin)
        source = origin.parent if found.submodule_search_locations else origin
        (site / source.name).symlink_to(source)
    example = ROOT / "examples" / "payment" / "succeeded" / "v1" / "contract.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", PROGRAM, str(example)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.stdout.splitlines() == ["PaymentSucceeded premium the bot", "[]"], done.stderr


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)
