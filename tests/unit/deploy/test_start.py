"""A command does not wait for what only others need."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main

from deploy.cli import MODULES, command_line

SHOW = "import sys; from deploy.cli import main; import atexit; atexit.register(lambda: print(*sys.modules)); main()"


def loaded(*arguments: str) -> set[str]:
    """The modules of a process that has run a command."""
    ran = subprocess.run([sys.executable, "-c", SHOW, *arguments], check=True, capture_output=True, text=True)
    assert "Usage: botpulse" in ran.stdout
    return set(ran.stdout.splitlines()[-1].split())


def test_a_command_is_imported_without_the_others() -> None:
    modules = loaded("explain", "--help")
    assert {name for name in modules if name.startswith("deploy.commands.")} == {"deploy.commands.explain"}
    assert not {"faust", "aiohttp", "jgo"} & modules


def test_the_help_has_every_command_and_still_none_of_the_largest_libraries() -> None:
    modules = loaded("--help")
    assert {f"deploy.commands.{name}" for name in MODULES} <= modules
    assert not {"faust", "aiohttp", "jgo"} & modules


@pytest.mark.parametrize("module", MODULES[1:])
def test_a_module_has_the_command_of_its_name(module: str) -> None:
    group = typer.main.get_command(command_line([module]))
    assert list(group.commands) == [module.replace("_", "-")]  # type: ignore[attr-defined]
