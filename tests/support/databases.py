"""Databases of one test each, copied from a template."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg


def with_database(url: str, name: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def execute(url: str, *statements: str) -> None:
    """Run statements on a connection of their own, each in its own transaction."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def fresh_database(server_url: str, template: str = "template0") -> AsyncIterator[str]:
    """The URL of a new database, dropped afterwards (its last connections are ended by force)."""
    name = f"test_{secrets.token_hex(6)}"
    await execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield with_database(server_url, name)
    finally:
        await execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def run_apart(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop and thread of its own, from anywhere."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@asynccontextmanager
async def login(database_url: str, *roles: str) -> AsyncIterator[str]:
    """The URL of a new login that is a member of these roles; dropped afterwards, its memberships with it."""
    name, password = f"test_{secrets.token_hex(6)}", secrets.token_hex(12)
    parts = urlsplit(database_url)
    granted = f"IN ROLE {', '.join(roles)}" if roles else ""
    await execute(database_url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}' {granted}")
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}"))
    finally:
        await execute(database_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")
