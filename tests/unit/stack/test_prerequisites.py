"""Prerequisites are found, and named if they are missing."""

import os
from pathlib import Path

import pytest

from internal.kernel import errors
from internal.stack import prerequisites


def program(folder: Path, name: str, says: str, code: int = 0) -> Path:
    """Make a program that prints a line and exits."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {code}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ("The operation could not be completed: no Java runtime", 0),
    ],
)
def test_javas_version_is_read(tmp_path: Path, says: str, version: int) -> None:
    assert prerequisites.java_version(str(program(tmp_path, "java", says))) == version


def test_java_that_fails_has_none(tmp_path: Path) -> None:
    assert prerequisites.java_version(str(program(tmp_path, "java", 'version "17"', 1))) == 0
    assert prerequisites.java_version(str(tmp_path / "nothing")) == 0


def test_java_home_has_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    old = program(tmp_path / "bin", "java", 'version "11.0.2"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert prerequisites.java() is None
    old.write_text(old.read_text().replace("11", "21"))
    assert prerequisites.java() == str(old)


def test_missing_programs_are_named_with_their_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(prerequisites.FINDERS, "java", lambda: None)
    monkeypatch.setitem(prerequisites.FINDERS, "database", lambda: None)
    with pytest.raises(errors.Misconfigured) as said:
        prerequisites.ensure(["java", "database"], print, may_install=False)
    assert "lacks Java 17 or newer and a MariaDB server" in str(said.value)
    assert "sudo apt-get install openjdk-17-jre-headless mariadb-server" in str(said.value)


def test_installed_program_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prerequisites.FINDERS, "java", lambda: "/usr/bin/java")
    prerequisites.ensure(["java"], print, may_install=False)


def test_error_of_a_failed_program_contains_its_output(tmp_path: Path) -> None:
    failing = program(tmp_path, "failing", "no space left", 3)
    with pytest.raises(errors.Misconfigured, match=r"failed \(3\): no space left"):
        prerequisites.run([str(failing)], timeout_s=10, environment=os.environ)


def test_program_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(errors.Misconfigured, match="not ended after 1 s"):
        prerequisites.run(["sleep", "20"], timeout_s=1, environment=os.environ)
