"""Pulsar's tarball is verified, and unpacked completely or not at all."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from internal.kernel import errors
from internal.stack import distribution


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    """A small distribution: one folder with a program in it."""
    program = tmp_path / "apache-pulsar-x" / "bin" / "pulsar"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    file = tmp_path / "pulsar.tar.gz"
    with tarfile.open(file, "w:gz") as opened:
        opened.add(tmp_path / "apache-pulsar-x", "apache-pulsar-x")
    return file


def test_file_with_its_digest_passes(tarball: Path) -> None:
    distribution.verify(tarball, hashlib.sha512(tarball.read_bytes()).hexdigest())


def test_other_file_is_refused_and_named(tarball: Path) -> None:
    with pytest.raises(errors.Misconfigured, match=r"pulsar\.tar\.gz is not Pulsar"):
        distribution.verify(tarball, distribution.SHA512)


def test_unpacked_folder_can_be_run(tarball: Path, tmp_path: Path) -> None:
    home = tmp_path / "cache" / "pulsar"
    home.parent.mkdir()
    distribution.unpack(tarball, home)
    assert (home / "bin" / "pulsar").stat().st_mode & 0o100
    assert list(home.parent.iterdir()) == [home]


def test_half_a_tarball_leaves_nothing(tarball: Path, tmp_path: Path) -> None:
    home = tmp_path / "cache" / "pulsar"
    home.parent.mkdir()
    tarball.write_bytes(tarball.read_bytes()[:-40])
    with pytest.raises((EOFError, tarfile.ReadError)):
        distribution.unpack(tarball, home)
    assert list(home.parent.iterdir()) == []


def test_digest_is_a_sha512() -> None:
    assert len(bytes.fromhex(distribution.SHA512)) == hashlib.sha512().digest_size
