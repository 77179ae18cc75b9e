"""Programs that the stack needs on a machine, and their installation.

As root on Debian and its derivatives missing packages are installed; elsewhere the message says
what is missing and which command installs it. Installed packages are never changed.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from internal.kernel import errors

Tell = Callable[[str], None]

JAVA_OLDEST = 17
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
"""Debian keeps servers in folders that are not on every user's PATH."""
PACKAGES: dict[str, tuple[str, ...]] = {
    "java": tuple(f"openjdk-{version}-jre-headless" for version in (17, 21, 25)),
    "maven": ("maven",),
    "database": ("mariadb-server",),
}
"""Debian packages of each program: the first that the release has is installed."""
NAMES = {
    "java": f"Java {JAVA_OLDEST} or newer",
    "maven": "Maven",
    "database": "a MariaDB server",
}
QUICK_S, LONG_S = 30, 1_800


def run(
    command: Sequence[str],
    *,
    timeout_s: int,
    environment: Mapping[str, str],
    folder: Path | None = None,
) -> str:
    """Run a program in a folder until it ends, and return its output.

    Raises:
        Misconfigured: it failed or took too long; the message ends with its output.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no command comes from outside
            command,
            env=dict(environment),
            cwd=folder,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        what = f"{command[0]} has not ended after {timeout_s} s"
        raise errors.Misconfigured(what) from error
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise errors.Misconfigured(f"{' '.join(command)} failed ({done.returncode}): {said}")
    return done.stdout


def find(*names: str) -> str | None:
    """Return the path of the first of these programs that exists."""
    return next(filter(None, (shutil.which(name, path=SEARCH_PATH) for name in names)), None)


def java() -> str | None:
    """Return the Java of JAVA_HOME, or the first on the PATH, if it is new enough."""
    home = os.environ.get("JAVA_HOME")
    path = str(Path(home, "bin", "java")) if home else find("java")
    return path if path and java_version(path) >= JAVA_OLDEST else None


def java_version(path: str) -> int:
    """Return a Java's major version; 0 if it cannot be read."""
    try:
        said = run([path, "-version"], timeout_s=QUICK_S, environment=os.environ)
    except (errors.Misconfigured, OSError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else 0


def mysqld() -> str | None:
    """Return the path of the database server."""
    return find("mariadbd", "mysqld")


def maven() -> str | None:
    """Return the path of Maven."""
    return find("mvn")


FINDERS: dict[str, Callable[[], str | None]] = {"java": java, "maven": maven, "database": mysqld}


def ensure(wanted: Sequence[str], tell: Tell, *, may_install: bool = True) -> None:
    """Make sure that all of these ("java", "maven", "database") are installed.

    Raises:
        Misconfigured: one is missing and cannot be installed here; the message says what to do.
    """
    missing = [name for name in wanted if FINDERS[name]() is None]
    if not missing:
        return
    if not (may_install and os.geteuid() == 0 and find("apt-get")):
        raise errors.Misconfigured(_advice(missing))
    _install([_package(name) for name in missing], tell)
    missing = [name for name in wanted if FINDERS[name]() is None]
    if missing:
        raise errors.Misconfigured(_advice(missing))


def _advice(missing: Sequence[str]) -> str:
    packages = " ".join(PACKAGES[name][0] for name in missing)
    return (
        f"this machine lacks {' and '.join(NAMES[name] for name in missing)}."
        f" On Debian or Ubuntu: sudo apt-get install {packages}"
    )


def _package(name: str) -> str:
    """Return the package that this release has; update the package lists first if needed."""
    if not any(map(_is_offered, PACKAGES[name])):
        run(["apt-get", "update", "-qq"], timeout_s=LONG_S, environment=_quiet())
    return next(filter(_is_offered, PACKAGES[name]), PACKAGES[name][0])


def _is_offered(package: str) -> bool:
    policy = run(["apt-cache", "policy", package], timeout_s=QUICK_S, environment=_quiet())
    candidate = re.search(r"Candidate: (\S+)", policy)
    return candidate is not None and candidate[1] != "(none)"


def _install(packages: Sequence[str], tell: Tell) -> None:
    tell(f"installing {' '.join(packages)} (apt-get)")
    command = ["apt-get", "install", "--yes", "-qq", "--no-install-recommends", *packages]
    run(command, timeout_s=LONG_S, environment=_quiet())


def _quiet() -> dict[str, str]:
    return {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
