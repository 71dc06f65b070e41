"""Every command waits for all that the command line imports."""

from __future__ import annotations

import subprocess
import sys


def test_the_command_line_starts_without_what_few_commands_need() -> None:
    code = "import sys, deploy.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "deploy.commands.explain" in loaded
    assert not {"faust", "aiohttp", "jgo"} & set(loaded)
