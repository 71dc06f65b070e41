"""The migrations' files, before any database sees them."""

from __future__ import annotations

from projections.migrations import Scope, find_migrations


def test_each_has_a_number_of_its_own_and_says_its_scope() -> None:
    assert {migration.scope for migration in find_migrations()} <= set(Scope)
