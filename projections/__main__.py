"""`python -m projections`: one worker of the projection service, until SIGTERM or SIGINT."""

from __future__ import annotations

from projections import registry
from projections.service import serve
from schemas.process.arguments import refuse_arguments

if __name__ == "__main__":
    refuse_arguments("python -m projections, without arguments; its settings: botpulse settings projections")
    serve(registry.apply)
