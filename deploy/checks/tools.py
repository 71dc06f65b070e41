"""The tools of `make check-ops`: found on the machine, or fetched once into a folder of the project's own.

`python -m deploy.checks.tools NAME ARGUMENTS…` runs one of the Python ones.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError

HOME: Final = Path(__file__).parents[2] / ".botpulse" / "checks"
LOCK_FILE: Final = Path(__file__).with_name("requirements.lock")
ASYNCAPI_PARSER: Final = "@asyncapi/parser@3.6.6"
KUSTOMIZE: Final = "sigs.k8s.io/kustomize/kustomize/v5@v5.6.0"
INSTALL_SECONDS: Final = 600


def python_tools() -> Path:
    """Return the folder of the locked Python tools' commands, after installing them where the lock file is new.

    Raises ConfigurationError when they can't be installed.
    """
    environment = HOME / "python"
    stamp = environment / f"locked-{hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(environment)], "the tools' own Python environment")
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(
            [*pip, "--require-hashes", "--requirement", str(LOCK_FILE)], "the tools of deploy/checks/requirements.lock"
        )
        stamp.touch()
    return environment / "bin"


def systemd_analyze() -> str:
    """Return the machine's systemd-analyze. Raises ConfigurationError where there is none."""
    found = shutil.which("systemd-analyze")
    if found is None:
        raise ConfigurationError("systemd-analyze is not on this machine: install systemd")
    return found


def prometheus() -> tuple[Path, Path]:
    """Return the programs prometheus and promtool: the machine's, else those of Debian's package, unpacked.

    Raises ConfigurationError where neither is to be had.
    """
    found = shutil.which("prometheus"), shutil.which("promtool")
    if found[0] and found[1]:
        return Path(found[0]), Path(found[1])
    unpacked = HOME / "prometheus"
    programs = unpacked / "usr" / "bin"
    if not (programs / "promtool").exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise ConfigurationError("prometheus and promtool are not on this machine: install Prometheus")
        if os.geteuid() == 0:
            # A new machine knows no packages yet; somebody else's lists are theirs to update.
            _run(["apt-get", "update", "--quiet"], "the list of Debian's packages")
        with tempfile.TemporaryDirectory() as folder:
            _run(
                ["apt-get", "download", "--quiet", "prometheus"], "Debian's package of Prometheus", folder=Path(folder)
            )
            package = next(Path(folder).glob("prometheus_*.deb"))
            unpacked.mkdir(parents=True, exist_ok=True)
            _run(["dpkg-deb", "--extract", str(package), str(unpacked)], "Debian's package of Prometheus")
    return programs / "prometheus", programs / "promtool"


def asyncapi_parser() -> Path:
    """Return the folder of node modules with AsyncAPI's own parser.

    Raises ConfigurationError where npm or node is missing.
    """
    if not (shutil.which("npm") and shutil.which("node")):
        raise ConfigurationError("npm and node are not on this machine: install Node.js")
    folder = HOME / "asyncapi"
    if not (folder / "node_modules" / "@asyncapi" / "parser").exists():
        install = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error"]
        _run([*install, ASYNCAPI_PARSER], ASYNCAPI_PARSER)
    return folder / "node_modules"


def kustomize() -> list[str]:
    """Return the command that builds a kustomization: kustomize, kubectl, else built with Go.

    Raises ConfigurationError where none of them is to be had.
    """
    if found := shutil.which("kustomize"):
        return [found, "build"]
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    built = HOME / "go" / "kustomize"
    if not built.exists():
        if not shutil.which("go"):
            raise ConfigurationError("kustomize, kubectl and go are not on this machine: install one of them")
        _run(["go", "install", KUSTOMIZE], KUSTOMIZE, environment={"GOBIN": str(built.parent)})
    return [str(built), "build"]


def _run(
    command: list[str], what: str, *, folder: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"can't install {what}: {error}") from None
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise ConfigurationError(f"can't install {what}: {reason[-1]}")


def main() -> int:
    """Run the tool that the command line names and return its exit status."""
    name, *arguments = sys.argv[1:]
    return subprocess.run([str(python_tools() / name), *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
