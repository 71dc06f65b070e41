"""Named queries: every file parses, each query is described and used, and none is asked for that isn't there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections import sql

PACKAGE = sql.FOLDER.parent
SOURCES = [path for folder in (PACKAGE, PACKAGE.parent / "deploy") for path in folder.rglob("*.py")]
FILES = sorted(path.stem for path in sql.QUERIES.glob("*.sql"))
QUERIES = [(file, name) for file in FILES for name in sql.load(file)]

GOOD = """
-- About the file.

-- name: first
-- What it is for,
-- in two lines.
SELECT 1
-- a remark inside
WHERE true;

-- name: second
-- Another.
SELECT 2
"""


def strings_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_blocks() -> None:
    queries = sql.parse(GOOD, "good.sql")
    assert list(queries) == ["first", "second"]
    assert queries["first"].description == "What it is for, in two lines."
    assert queries["first"].text == "SELECT 1\n-- a remark inside\nWHERE true"
    assert queries["second"].text == "SELECT 2"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("SELECT 1;\n" + GOOD, "before the first"),
        (GOOD + "\n-- name: first\n-- Again.\nSELECT 3", "used twice"),
        ("-- name: bare\nSELECT 1", "no description"),
        ("-- name: hollow\n-- Only words.\n", "no statement"),
    ],
)
def test_faults_name_the_file(source: str, fault: str) -> None:
    with pytest.raises(ValueError, match=rf"some\.sql: .*{fault}"):
        sql.parse(source, "some.sql")


@pytest.mark.parametrize(("file", "name"), QUERIES)
def test_every_query_is_used(file: str, name: str) -> None:
    used = {text for path in SOURCES for text in strings_of(path)}
    assert name in used, f"{file}.sql: {name} is used by nothing"


def test_every_query_that_is_asked_for_exists() -> None:
    for path in SOURCES:
        for file, name in re.findall(r'\bquery\("(\w+)", "(\w+)"\)', path.read_text()):
            assert (file, name) in QUERIES, f"{path.name} asks for {file}/{name}"


def test_no_statement_is_written_outside_the_sql_files() -> None:
    statement = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|TRUNCATE|WITH)\s")
    for path in PACKAGE.rglob("*.py"):
        for text in strings_of(path):
            assert not statement.search(text), f"{path.name}: {text[:60]}"
