"""The fixture that every acceptance test begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import StackInfo
from schemas.topics import Topics
from tests.support.installation import Installation


@pytest.fixture
def installation(stack: StackInfo, topics: Topics, database_url: str, tmp_path: Path) -> Installation:
    return Installation(stack, topics, database_url, tmp_path)
