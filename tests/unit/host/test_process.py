"""What the engine wants of its process: descriptors, Python's own log, a small standard error."""

import asyncio
import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest
from loguru import logger

from internal.host import process


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The limits on descriptors, which are as they were afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Python's own log, whose handlers are as they were afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("root_logger")
def test_descriptors_are_raised_and_connections_leave_some(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))
    assert process.connections_max(4_096) == 1_000 - process.DESCRIPTORS_KEPT
    process.prepare()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == min(hard, process.DESCRIPTORS_WANTED)
    assert process.connections_max(500) == 500


@pytest.mark.usefixtures("root_logger")
@pytest.mark.parametrize(
    ("error", "level"), [(grpc.aio.BaseError("gone"), "DEBUG"), (OSError("disk"), "ERROR")]
)
def test_pythons_own_log_goes_to_souks(error: Exception, level: str) -> None:
    process.prepare()
    lines: list[str] = []
    sink = logger.add(lines.append, level="DEBUG", format="{level} {message}")
    try:
        raise error
    except type(error):
        logging.getLogger("grpc._cython.cygrpc").exception("a call broke")
    logger.remove(sink)
    assert lines[0].startswith(f"{level} grpc._cython.cygrpc: a call broke")


def test_a_large_file_is_emptied_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "standard-error"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"x" * 100)
    process.shorten(descriptor, 100)
    assert file.stat().st_size == 100
    os.write(descriptor, b"x")
    process.shorten(descriptor, 100)
    os.write(descriptor, b"later")
    os.close(descriptor)
    assert file.read_bytes() == b"later"


async def test_a_pipe_and_a_closed_descriptor_are_left_alone() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"xyz")
    process.shorten(writing, 1)
    assert os.read(reading, 10) == b"xyz"
    os.close(reading)
    os.close(writing)
    process.shorten(writing, 1)
    keeping = asyncio.create_task(process.keep_standard_error_small())
    await asyncio.sleep(0)
    keeping.cancel()
