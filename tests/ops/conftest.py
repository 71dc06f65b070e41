"""Tests that need Prometheus itself: `make check-ops` runs them, `make test` does without."""

from __future__ import annotations

from tests.acceptance.conftest import installation

__all__ = ["installation"]
