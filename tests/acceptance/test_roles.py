"""The roles that docs/security.md gives to commands: each alone is enough, and an analyst is told what they lack."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.databases import login
from tests.support.installation import Installation

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
COMMANDS = {
    "migrate": ("migrate",),
    "maintenance run": ("maintenance", "run"),
    "rebuild": ("rebuild", "--dry-run"),
    "audit verify": ("audit", "verify"),
    "verify": ("verify",),
    "explain": ("explain", "7"),
    "status": ("status",),
    "wait": ("wait", "--timeout=60"),
    "dead-letters": ("dead-letters", "list"),
    "reconcile": ("reconcile", "stars", "list.json"),
}
"""How each command of the table that uses our database is called here."""


def documented() -> dict[str, str]:
    """The role of each command, by the page's table; those that end in none or are services left out."""
    found = {}
    rows = r"^\| (`botpulse [^|]+) \| [^|`]*`(botpulse_\w+)`[^|]* \|$"
    for commands, role in re.findall(rows, PAGE.read_text("utf-8"), re.MULTILINE):
        for command in re.findall(r"`(?:botpulse )?([^`]+)`", commands):
            if not command.startswith("run "):
                found[command] = role
    return found


async def test_a_command_needs_the_role_that_the_page_says(installation: Installation) -> None:
    await installation.botpulse("migrate")  # a copy of a template lacks what is said of a database
    roles = documented()
    assert set(roles) == set(COMMANDS)
    listed = installation.folder / "list.json"
    listed.write_text('{"ok": true, "result": {"transactions": []}}')
    async with AsyncExitStack() as logins:
        urls = {
            role: await logins.enter_async_context(login(installation.database_url, role))
            for role in {*roles.values(), "botpulse_analyst"}
        }

        async def ran(command: str, role: str) -> tuple[int | None, str]:
            arguments = [str(listed) if part == listed.name else part for part in COMMANDS[command]]
            process = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).with_name("botpulse")),
                *arguments,
                env={**os.environ, **installation.environment, "DATABASE_URL": urls[role]},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            return process.returncode, f"{command} as {role}: {output.decode()}"

        for command, role in roles.items():
            status, told = await ran(command, role)
            # Nobody has an event: explain has found nothing, and says so by its status.
            assert status == (1 if command == "explain" else 0), told
        refused = await asyncio.gather(*(ran(command, "botpulse_analyst") for command in roles))
        for status, told in refused:
            assert status == 2, told
            assert re.search(r"may not act as botpulse_\w+|lets? a superuser", told), told
