"""A command does not wait for what only others need."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

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


def test_no_help_is_taken_for_markup() -> None:
    """In brackets the help's renderer sees a style, and leaves it out."""
    root = typer.main.get_command(command_line())

    def helps(command: Any) -> Iterator[str]:
        yield command.help or ""
        yield from (parameter.help or "" for parameter in command.params if hasattr(parameter, "help"))
        for inner in getattr(command, "commands", {}).values():
            yield from helps(inner)

    told = list(helps(root))
    assert len(told) > 100
    assert [text for text in told if re.search(r"\[[a-z/]", text)] == []


@pytest.mark.parametrize("module", ["streams", "projections", "deploy.exporter", "deploy.checks", "deploy.catalogue"])
def test_a_program_without_arguments_takes_none(module: str) -> None:
    """It would begin its work, where somebody only asks what that is."""
    usage = f"usage: python -m {module}, without arguments; "
    asked = run_module(module, "--help")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith(usage)
    assert asked.stdout.count("\n") == 1
    refused = run_module(module, "--bogus")
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", asked.stdout)


def run_module(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], check=False, capture_output=True, text=True, timeout=60)
