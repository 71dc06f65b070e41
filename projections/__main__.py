"""`python -m projections`: one worker of the projection service, until SIGTERM or SIGINT."""

from __future__ import annotations

from projections import registry
from projections.service import serve

if __name__ == "__main__":
    serve(registry.apply)
