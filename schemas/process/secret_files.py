"""Secrets from files: a setting NAME that holds a secret may be given as NAME_FILE, a file with its value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..errors import ConfigurationError

MASK = "***"


def secret(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of a setting, from the environment or from the file that NAME_FILE names; None where neither is set.

    An empty setting counts as unset; a line end at the end of the file is none of the secret. Raises ConfigurationError
    when both are set, or when the file can't be read or is empty.
    """
    value, path = environ.get(name), environ.get(f"{name}_FILE")
    if not path:
        return value or None
    if value:
        raise ConfigurationError(f"settings {name} and {name}_FILE: both are set; keep one")
    try:
        value = Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(f"setting {name}_FILE: can't read {path} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"setting {name}_FILE: {path} is no text in UTF-8") from None
    if not value:
        raise ConfigurationError(f"setting {name}_FILE: {path} is empty")
    return value


def with_secrets(given: Any, *names: str) -> Any:
    """What a settings class was given by the environment, with those secrets added that are in files."""
    if not isinstance(given, dict):
        return given
    return {**given, **{name: value for name in names if name not in given and (value := secret(name)) is not None}}


def masked_url(url: str) -> str:
    """A URL to show: without its password, wherever it stands. What is no URL is not shown at all."""
    try:
        parts = urlsplit(url)
        secret_part = parts.password is not None
        query = [(k, MASK if "password" in k.lower() else v) for k, v in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:
        return MASK
    if not parts.scheme or not parts.netloc:
        return MASK
    _, _, address = parts.netloc.rpartition("@")
    user = f"{parts.username or ''}{f':{MASK}' if secret_part else ''}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=user + address, query=urlencode(query, safe="/*:")))
