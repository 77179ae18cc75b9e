"""The locks hold what pyproject.toml asks for: change one without `scripts/lock` and this fails.

Works on texts alone, without the network.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD = PROJECT["dependency-groups"]["build"]
RUNTIME = PROJECT["project"]["dependencies"] + BUILD
DEV = RUNTIME + PROJECT["project"]["optional-dependencies"]["dev"]
ASKED_BY_SOUK = re.compile(r"^    # +(?:via +)?souk \(pyproject", re.MULTILINE)

Lock = dict[str, tuple[Version, str]]


def parse(text: str) -> Lock:
    """Return {name: (version, the whole entry)} of a lock file."""
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    pins = ((Requirement(entry.partition(" \\")[0]), entry) for entry in entries)
    return {
        canonicalize_name(pin.name): (Version(next(iter(pin.specifier)).version), entry)
        for pin, entry in pins
    }


def read(name: str) -> Lock:
    """Return a lock of the tree."""
    return parse((ROOT / name).read_text())


def disagreements(wanted: Iterable[str], lock: Lock) -> list[str]:
    """Return what is asked for but not locked so, and what is locked for Souk but not asked for."""
    requirements = {canonicalize_name(r.name): r for r in map(Requirement, wanted)}
    unmet = [
        f"{requirement} is not locked"
        for name, requirement in requirements.items()
        if name not in lock or lock[name][0] not in requirement.specifier
    ]
    asked = {name for name, (_, entry) in lock.items() if ASKED_BY_SOUK.search(entry)}
    return unmet + [f"{name} is locked for no reason" for name in asked - requirements.keys()]


@pytest.mark.parametrize(
    ("name", "wanted"), [("requirements.lock", RUNTIME), ("requirements-dev.lock", DEV)]
)
def test_lock_agrees_with_pyproject(name: str, wanted: list[str]) -> None:
    assert disagreements(wanted, read(name)) == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_has_hashes(name: str) -> None:
    assert [pin for pin, (_, entry) in read(name).items() if "--hash=sha256:" not in entry] == []


def test_development_has_the_runtime_in_the_same_versions() -> None:
    dev = {name: version for name, (version, _) in read("requirements-dev.lock").items()}
    for name, (version, _) in read("requirements.lock").items():
        assert dev[name] == version


def test_lock_holds_what_builds_souk() -> None:
    """So that installing Souk into its environment downloads nothing."""
    assert set(PROJECT["build-system"]["requires"]) == set(BUILD)


EXAMPLE = parse("rich==15.0.0 \\\n    --hash=sha256:00\n    # via\n    #   souk (pyproject.toml)\n")


@pytest.mark.parametrize("wanted", [["rich>=16"], ["rich", "typer"], []])
def test_disagreement_is_found(wanted: list[str]) -> None:
    assert disagreements(["rich>=15"], EXAMPLE) == []
    assert len(disagreements(wanted, EXAMPLE)) == 1
