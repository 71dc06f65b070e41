"""`python -m deploy.checks`: checks what is deployed beside the code, each by the tool that will read it.

    compose      docker-compose.yml            by docker compose
    dockerfile   deploy/Dockerfile             by hadolint
    kubernetes   deploy/kubernetes             built by kustomize, validated against the API's schemas
    asyncapi     schemas/published/asyncapi.json   by AsyncAPI's own parser
    prometheus   deploy/prometheus             by promtool: configuration, rules, and the rules' own tests
    systemd      deploy/systemd                by systemd-analyze

Exit status 0 when all pass, 1 when one finds something, 2 when a tool is neither here nor to be had.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from deploy.checks import tools
from schemas.errors import BotpulseError
from schemas.process.arguments import refuse_arguments

DEPLOY: Final = Path(__file__).parents[1]
ROOT: Final = DEPLOY.parent
COMMAND_SECONDS: Final = 120


def compose() -> Iterator[list[str]]:
    """docker compose itself, which needs no daemon to read its file."""
    program = str(tools.python_tools() / "docker-compose")
    yield [program, "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"]


def dockerfile() -> Iterator[list[str]]:
    """Hadolint; any finding is a failure."""
    yield [str(tools.python_tools() / "hadolint"), str(DEPLOY / "Dockerfile")]


def kubernetes() -> Iterator[list[str]]:
    """Everything that `base` builds, strictly; `scaling` must build (its scalers' schema is KEDA's own)."""
    build = tools.kustomize()
    validate = str(tools.python_tools() / "kubernetes-validate")
    built = tools.HOME / "kubernetes.yaml"
    built.write_text(_output([*build, str(DEPLOY / "kubernetes" / "base")]), encoding="utf-8")
    yield [validate, "--strict", "--quiet", str(built)]
    yield [*build, str(DEPLOY / "kubernetes" / "scaling"), "--output", str(tools.HOME / "scaling.yaml")]


def prometheus() -> Iterator[list[str]]:
    """promtool, which also runs the rules' tests."""
    promtool = str(tools.prometheus()[1])
    folder = DEPLOY / "prometheus"
    yield [promtool, "check", "config", str(folder / "prometheus.yml")]
    yield [promtool, "check", "rules", str(folder / "alerts.yml")]
    yield [promtool, "test", "rules", str(folder / "alerts_test.yml")]


def systemd() -> Iterator[list[str]]:
    """Units and timers, with the command of this environment in place of the installed one, which must exist."""
    folder = tools.HOME / "systemd"
    folder.mkdir(exist_ok=True)
    units = []
    for path in sorted((DEPLOY / "systemd").iterdir()):
        # Of a template an instance is checked.
        unit = folder / path.name.replace("@.", "@streams.")
        unit.write_text(path.read_text("utf-8").replace("/opt/botpulse/bin", str(Path(sys.executable).parent)), "utf-8")
        units.append(str(unit))
    yield [tools.systemd_analyze(), "verify", "--man=no", "--recursive-errors=no", *units]


def asyncapi() -> Iterator[list[str]]:
    """The exported contract, by the parser that other people's tools use."""
    modules = f"NODE_PATH={tools.asyncapi_parser()}"
    script = str(DEPLOY / "contract" / "validate_asyncapi.cjs")
    yield ["env", modules, "node", script, str(ROOT / "schemas" / "published" / "asyncapi.json")]


CHECKS: Final[tuple[Callable[[], Iterator[list[str]]], ...]] = (
    compose,
    dockerfile,
    kubernetes,
    asyncapi,
    prometheus,
    systemd,
)


class FindingError(Exception):
    """A tool found something; its message is what the tool said."""


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    if done.returncode:
        raise FindingError((done.stdout + done.stderr).strip())
    return done.stdout


def main() -> int:
    """Run every check, say what each found, and return the exit status."""
    refuse_arguments(f"python -m deploy.checks, without arguments; checks {', '.join(c.__name__ for c in CHECKS)}")
    tools.HOME.mkdir(parents=True, exist_ok=True)
    status = 0
    for check in CHECKS:
        try:
            for command in check():
                _output(command)
        except FindingError as found:
            status = max(status, 1)
            _say(f"{check.__name__:12} FAILED\n{found}")
        except BotpulseError as error:
            status = 2
            _say(f"{check.__name__:12} not checked: {error}")
        else:
            _say(f"{check.__name__:12} ok")
    return status


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
