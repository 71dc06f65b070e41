"""A command does not wait for what only others need."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main

from deploy.cli import MODULES, OF_THE_STACK, command_line

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
    modules = loaded("--help", "explain")
    assert {f"deploy.commands.{name}" for name in MODULES} <= modules
    assert not {"faust", "aiohttp", "jgo"} & modules


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_the_command_of_its_name(module: str) -> None:
    group = typer.main.get_command(command_line([module]))
    own = OF_THE_STACK if module == MODULES[0] else (module.replace("_", "-"),)
    assert tuple(group.commands) == own  # type: ignore[attr-defined]
