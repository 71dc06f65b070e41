"""Kafka's jars: listed with their checksums, fetched once into a cache shared by all runs of this user."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import MissingPartError
from deploy.local.progress import Progress, silent

LOCK_FILE = Path(__file__).with_name("kafka_jars.lock")
ATTEMPTS = 3
PARALLEL = 4
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Jar:
    """One jar of the lock file; `size` in bytes."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def coordinates(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(lock_file: Path = LOCK_FILE) -> list[Jar]:
    """The jars of the lock file, in its order (the class path's order)."""
    jars = []
    for line in lock_file.read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            coordinates, digest, size = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, digest.removeprefix("sha256:"), int(size)))
    return jars


def ensure_jars(cache: Path, progress: Progress = silent, jars: Sequence[Jar] | None = None) -> list[Path]:
    """Paths of all jars, after fetching those that the cache lacks.

    Every file is checked against its SHA-256 before it appears under its final name, and appears there by an
    atomic rename: two runs at once do double work at worst. A file in the cache with a wrong size is fetched anew.

    Raises MissingPartError when a jar can't be fetched or isn't the one that the lock file names.
    """
    wanted = locked_jars() if jars is None else list(jars)
    folder = cache / "jars"
    paths = [folder / jar.sha256[:16] / jar.filename for jar in wanted]
    missing = [(jar, path) for jar, path in zip(wanted, paths, strict=True) if not _present(jar, path)]
    if not missing:
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(jar.size for jar, _ in missing)
    done = 0
    progress("Fetching Kafka", 0, total)
    with (
        tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as work,
        ThreadPoolExecutor(PARALLEL, thread_name_prefix="jars") as pool,
    ):
        futures = [pool.submit(_fetch, jar, path, Path(work)) for jar, path in missing]
        try:
            for (jar, _), future in zip(missing, futures, strict=True):
                future.result()
                done += jar.size
                progress("Fetching Kafka", done, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return paths


def _present(jar: Jar, path: Path) -> bool:
    try:
        return path.stat().st_size == jar.size
    except OSError:
        return False


def _fetch(jar: Jar, path: Path, work: Path) -> None:
    error: Exception | None = None
    for attempt in range(ATTEMPTS):
        # A folder of its own for every try: jgo writes straight to the final name and refuses to write twice.
        folder = Path(tempfile.mkdtemp(prefix=f"{jar.artifact}-", dir=work))
        try:
            fetched = _resolve(jar, folder)
            digest = hashlib.sha256(fetched.read_bytes()).hexdigest()
        except Exception as problem:  # noqa: BLE001 - the network's errors are of many kinds; all are retried
            error = problem
            time.sleep(0.5 * 2**attempt)
            continue
        if digest != jar.sha256:
            raise MissingPartError(
                f"{jar.coordinates} was fetched with SHA-256 {digest}, but {LOCK_FILE.name} says {jar.sha256}: "
                "refused. Something on the way changes what is downloaded; fetch from another network."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        fetched.chmod(0o644)
        fetched.replace(path)
        shutil.rmtree(folder, ignore_errors=True)
        return
    raise MissingPartError(
        f"Kafka's jar {jar.coordinates} could not be fetched from the Maven repository after {ATTEMPTS} tries "
        f"({type(error).__name__}: {str(error)[:200]}). Check the network and run the command again."
    ) from error


def _resolve(jar: Jar, folder: Path) -> Path:
    from jgo.maven import MavenContext

    # A repo_cache of its own also keeps a half-written ~/.m2 of another tool out.
    context = MavenContext(repo_cache=folder, timeout=TIMEOUT_SECONDS)
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
