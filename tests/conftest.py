"""Fixtures on a real Kafka and a real Postgres. When a part is missing they fail and say which; nothing is skipped."""

from __future__ import annotations

import secrets
import signal
import types
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.catalogue.server import Server, server, system_postgres
from deploy.local import LocalStack, StackInfo
from deploy.local.places import postgres_home, server_account
from schemas.errors import BotpulseError
from schemas.topics import Topics
from tests.support.databases import execute, fresh_database, run_apart, with_database
from tests.support.stack import running_stack

TEST_PARTITIONS = 4
TEMPLATE = "botpulse_template"


def pytest_configure() -> None:
    """Let a polite kill of the run take the fixtures down too (a kill -9 is seen by the stack's guardian)."""

    def interrupt(number: int, frame: types.FrameType | None) -> None:
        raise KeyboardInterrupt(f"signal {number}")

    signal.signal(signal.SIGTERM, interrupt)


@pytest.fixture(scope="session")
def local_stack() -> Iterator[LocalStack]:
    """The run's stack with the power to break it; a test that breaks it must mend it."""
    try:
        with running_stack() as stack:
            yield stack
    except BotpulseError as error:
        pytest.fail(f"the tests' Kafka and Postgres did not start: {error}", pytrace=False)


@pytest.fixture(scope="session")
def stack(local_stack: LocalStack) -> StackInfo:
    """One Kafka and one Postgres for the whole run."""
    info = local_stack.find()
    assert info is not None
    return info


@pytest.fixture(scope="session")
def template_database(stack: StackInfo) -> str:
    """The name of a migrated database without rows, to copy."""
    from projections.migrations import migrate

    run_apart(execute(stack.database_url, f"CREATE DATABASE {TEMPLATE} TEMPLATE template0"))
    run_apart(migrate(with_database(stack.database_url, TEMPLATE)))
    return TEMPLATE


@pytest.fixture
async def database_url(stack: StackInfo, template_database: str) -> AsyncIterator[str]:
    """A migrated database of this test alone."""
    async with fresh_database(stack.database_url, template_database) as url:
        yield url


@pytest.fixture
async def empty_database_url(stack: StackInfo) -> AsyncIterator[str]:
    """A database of this test alone, without any table of ours."""
    async with fresh_database(stack.database_url) as url:
        yield url


@pytest.fixture
async def topics(stack: StackInfo) -> AsyncIterator[Topics]:
    """All topics under a prefix of this test alone, with TEST_PARTITIONS partitions where that is ours to choose."""
    from tests.support.topics import create, delete

    topics = Topics(f"t{secrets.token_hex(4)}.")
    await create(stack.bootstrap_servers, topics, TEST_PARTITIONS)
    yield topics
    await delete(stack.bootstrap_servers, topics)


@pytest.fixture(scope="session")
def own_server() -> Iterator[Server]:
    """A Postgres 18 on which nothing has been done yet."""
    with server(postgres_home(server_account())) as running:
        yield running


@pytest.fixture(scope="session", params=["18", "16", *(["system"] if system_postgres() else [])])
def any_server(request: pytest.FixtureRequest, stack: StackInfo) -> Iterator[Server]:
    """Every Postgres that is found: the run's own 18, the 16 of the same wheel, the system's."""
    if request.param == "18":
        yield Server(postgres_home(server_account()), stack.database_url)
        return
    home = system_postgres() if request.param == "system" else postgres_home(server_account(), 16)
    assert home is not None
    with server(home) as running:
        yield running
