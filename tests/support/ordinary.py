"""Running the project as an ordinary user while the tests run as root."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.places import Account, cache_folder, server_account

PACKAGES = ("deploy", "projections", "schemas", "streams")
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "test", "idlelib", "tkinter", "ensurepip", "config-*", "mypy", "mypyc", "ruff", "uv", "pip"
)


@dataclass(frozen=True)
class OrdinaryUser:
    """How to start Python with the project as that user: a command's beginning and arguments for `subprocess`."""

    python: list[str]
    arguments: dict[str, Any]


def ordinary_user(folder: Path) -> OrdinaryUser:
    """The account `nobody` (ourselves when we aren't root) with a home in `folder` and with all that it must read.

    The interpreter, the libraries and the project, and Kafka's jars in a cache of its own: what lies where only root
    can look (an interpreter in root's home, a clone in a closed folder) is linked or copied into the folder.
    """
    account = server_account()
    home = folder / "ordinary-home"
    home.mkdir()
    account.give(home)
    root = Path(__file__).parents[2]
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    _clone(cache_folder(account) / "jars", home / ".cache" / "botpulse" / "jars")
    environment = {**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("XDG_CACHE_HOME", None)
    if not account.can(interpreter, "x"):
        prefix = folder / "python"
        (prefix / "bin").mkdir(parents=True)
        shutil.copy2(interpreter, prefix / "bin" / interpreter.name)
        interpreter = prefix / "bin" / interpreter.name
        _clone(library, prefix / "lib" / library.name, "site-packages")
        for shared in library.parent.glob("libpython*"):
            _link(str(shared), str(prefix / "lib" / shared.name))
        environment |= {"PYTHONHOME": str(prefix), "LD_LIBRARY_PATH": str(prefix / "lib")}
    environment["PYTHONPATH"] = os.pathsep.join(
        str(place if _reads(account, place) else _clone_packages(place, folder / "lib", root))
        for place in (root, Path(sysconfig.get_path("purelib")))
    )
    arguments = {**account.popen_arguments(), "env": environment, "cwd": home}
    return OrdinaryUser([str(interpreter)], arguments)


def _reads(account: Account, place: Path) -> bool:
    return account.can(place, "x") and account.can(next(place.glob("*/__init__.py")))


def _clone_packages(place: Path, target: Path, root: Path) -> Path:
    if place == root:
        for package in PACKAGES:
            _clone(place / package, target / "project" / package)
        return target / "project"
    _clone(place, target / "site-packages")
    return target / "site-packages"


def _clone(source: Path, target: Path, *left_out: str) -> None:
    def ignore(folder: str, names: list[str]) -> set[str]:
        return LEFT_OUT(folder, names) | {name for name in names if name in left_out}

    shutil.copytree(source, target, symlinks=True, ignore=ignore, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
