"""Pulsar's server distribution: downloaded by Maven, verified, unpacked once for all stacks.

A new version means new values of the two constants VERSION and SHA512, which stand only here.
"""

import fcntl
import hashlib
import os
import shutil
import tarfile
from pathlib import Path

from internal.kernel import errors
from internal.stack import prerequisites

VERSION = "4.0.8"
SHA512 = (
    "65b769b10696cdfebf7fc5bcdc95dd663702e27051e616c1a13cb100e91279525be35352171befe7b0011176330aab2"
    "9bd0a6c8a0f2f0646641af46d2e33cbd6"
)
"""The digest of the tarball, as Apache publishes it with the release."""
CACHE = Path(__file__).resolve().parents[2] / ".cache"
ARTIFACT = f"org.apache.pulsar:pulsar-server-distribution:{VERSION}:tar.gz:bin"
FILE = f"pulsar-server-distribution-{VERSION}-bin.tar.gz"
LOCAL = Path(".m2", "repository", "org", "apache", "pulsar", "pulsar-server-distribution", VERSION)
"""Where Maven keeps earlier downloads, under the home folder."""
DOWNLOAD_S = 1_800


def ready(tell: prerequisites.Tell, *, cache: Path = CACHE, may_install: bool = True) -> Path:
    """Return the folder of the unpacked distribution; download it if it is missing.

    Raises:
        Misconfigured: Maven is missing or failed, or the download is not the release.
    """
    home = cache / f"pulsar-{VERSION}"
    if home.is_dir():
        return home
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "pulsar.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            tarball = _tarball(cache, tell, may_install=may_install)
            verify(tarball, SHA512)
            tell(f"unpacking Pulsar {VERSION}")
            unpack(tarball, home)
            (cache / FILE).unlink(missing_ok=True)
    return home


def _tarball(cache: Path, tell: prerequisites.Tell, *, may_install: bool) -> Path:
    """Return the tarball in Maven's repository, or let Maven download a copy."""
    kept = Path.home() / LOCAL / FILE
    if kept.is_file():
        return kept
    prerequisites.ensure(["maven"], tell, may_install=may_install)
    tell(f"downloading Pulsar {VERSION} by Maven (245 MB, once)")
    copy = ["dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={cache}"]
    command = [prerequisites.maven() or "mvn", "--batch-mode", "--quiet", *copy]
    prerequisites.run(command, timeout_s=DOWNLOAD_S, environment=os.environ)
    copied = cache / FILE
    if not copied.is_file():
        raise errors.Misconfigured(f"Maven reported success but did not copy {ARTIFACT} to {cache}")
    return copied


def verify(tarball: Path, sha512: str) -> None:
    """Compare a file with its digest.

    Raises:
        Misconfigured: they do not match.
    """
    with tarball.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha512").hexdigest()
    if found != sha512:
        raise errors.Misconfigured(
            f"{tarball} is not Pulsar {VERSION} as Apache published it: its SHA-512 is {found}."
            f" Remove the file and try again"
        )


def unpack(tarball: Path, home: Path) -> None:
    """Unpack a tarball's only folder as `home`, completely or not at all."""
    fresh = home.with_name(f"{home.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with tarfile.open(tarball) as opened:
            # An attribute, not an argument: Debian 12's own Python is older than filters.
            opened.extraction_filter = getattr(tarfile, "data_filter", None)
            opened.extractall(fresh)  # noqa: S202 - the digest has been verified
        (folder,) = fresh.iterdir()
        folder.replace(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
