"""The package that the functions worker runs: Souk's own wheel, built without the network."""

import hashlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec

from internal.kernel import errors
from internal.stack import prerequisites

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
BUILD_S = 120
SHOWN_DIGITS = 8


class Wheel(msgspec.Struct, frozen=True):
    """A wheel. The same tree always gives the same file, and so the same digest."""

    name: str
    version: str
    digest: str
    content: bytes

    @property
    def label(self) -> str:
        """Its version and the first digits of its digest."""
        return f"{self.version} ({self.digest[:SHOWN_DIGITS]})"


def build(root: Path = ROOT, cache: Path = CACHE) -> Wheel:
    """Build the wheel of a checkout.

    Raises:
        Misconfigured: `root` is not a checkout, or the build failed.
    """
    if not (root / "pyproject.toml").is_file():
        raise errors.Misconfigured(
            f"{root} is not a checkout to build a wheel from: --wheel names one"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=cache) as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        prerequisites.run(command, timeout_s=BUILD_S, environment=os.environ, folder=root)
        (file,) = Path(folder).glob("*.whl")
        return read(file)


def read(file: Path) -> Wheel:
    """Read a wheel that was built elsewhere.

    Raises:
        Misconfigured: it is not a wheel of Souk.
    """
    try:
        content = file.read_bytes()
        with zipfile.ZipFile(file) as opened:
            is_souk = "internal/pipeline/function.py" in opened.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise errors.Misconfigured(f"{file} is not a wheel: {error}") from error
    if not (is_souk and file.suffix == ".whl"):
        raise errors.Misconfigured(f"{file} is not a wheel of Souk")
    version = file.name.split("-")[1]
    return Wheel(file.name, version, hashlib.sha256(content).hexdigest(), content)
