"""The data files that are shipped inside this package."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def read_json(name: str) -> Any:
    """Return the content of the JSON file `name` that lies beside this module."""
    # By the package's own name: the folder is installed under a second one too.
    package = __name__.rpartition(".")[0]
    return json.loads(resources.files(package).joinpath(name).read_text("utf-8"))
