"""Calls by ghz, a gRPC load generator in Go that others measure with, too: https://ghz.sh.

It gets its requests ready made, so that it spends its time on calling. The API key is in a file.
"""

import asyncio
import contextlib
import os
import resource
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
from google.protobuf import descriptor, descriptor_pb2

from internal.client.access import Access
from internal.kernel import errors

VERSION = "v0.120.0"
MODULE = f"github.com/bojand/ghz/cmd/ghz@{VERSION}"
BUILD_S = 600.0
REPORT_FILE = "report.json"
NS_PER_MS, NS_PER_S = 1e6, 1e9
_VARINT_BITS = 7


class Percentile(msgspec.Struct):
    """So many percent of the answers took at most this long."""

    percentage: int
    latency: int
    """ns."""


class Report(msgspec.Struct, rename="camel"):
    """What ghz says in the end, as far as it is of use here."""

    total: int
    """ns, from the first call to the last answer."""
    status_code_distribution: dict[str, int]
    latency_distribution: list[Percentile] | None = None

    @property
    def answered_ok(self) -> int:
        """The calls that were answered OK."""
        return self.status_code_distribution.get("OK", 0)

    @property
    def seconds(self) -> float:
        """What all calls took together."""
        return self.total / NS_PER_S

    def percentile_ms(self, percent: int) -> float:
        """Return how long so many percent of the answers took at most; 0 if ghz does not say."""
        found = {it.percentage: it.latency for it in self.latency_distribution or ()}
        return found.get(percent, 0) / NS_PER_MS


class Calls(NamedTuple):
    """What is to be called."""

    access: Access
    file: descriptor.FileDescriptor
    """Declares the method."""
    method: str
    """package.Service/Method"""
    requests: Iterable[bytes]
    """Serialized, one a call."""
    number: int
    """How many there are."""
    callers: int


async def find(folder: Path) -> Path | None:
    """Return the program: the PATH's, Go's, or one that Go builds into `folder` (absolute)."""
    found = _installed(folder)
    go = shutil.which("go")
    if found is None and go:
        await _build(go, folder)
        found = _installed(folder)
    return found


def _installed(folder: Path) -> Path | None:
    on_path = shutil.which("ghz")
    places = [Path.home() / "go" / "bin" / "ghz", folder / "ghz"]
    return Path(on_path) if on_path else next(filter(Path.is_file, places), None)


async def _build(go: str, folder: Path) -> None:
    """Build it, if that can be: it takes a way to Go's modules."""
    process = await asyncio.create_subprocess_exec(
        go,
        "install",
        MODULE,
        env={**os.environ, "GOBIN": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with _ended(process):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BUILD_S):
                await process.wait()


async def run(program: Path, calls: Calls, folder: Path) -> tuple[Report, float]:
    """Call; return the report, and the processor time that ghz took, in seconds.

    Raises:
        Temporary: it failed; the error says what it said.
    """
    arguments = await asyncio.to_thread(_prepare, calls, folder)
    before_s = _children_cpu_s()
    process = await asyncio.create_subprocess_exec(
        str(program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with _ended(process):
        said, _ = await process.communicate()
    cpu_s, file = _children_cpu_s() - before_s, folder / REPORT_FILE
    if process.returncode or not file.is_file():
        raise errors.Temporary(f"ghz failed: {said.decode(errors='replace').strip()}")
    return msgspec.json.decode(file.read_bytes(), type=Report), cpu_s


def _prepare(calls: Calls, folder: Path) -> list[str]:
    """Write what ghz reads; return its command line."""
    requests, metadata = folder / "requests.bin", folder / "metadata.json"
    protoset = folder / "protoset.bin"
    protoset.write_bytes(_set_of(calls.file).SerializeToString())
    with requests.open("wb") as opened:
        for request in calls.requests:
            opened.write(varint(len(request)) + request)
    metadata.touch(0o600)
    metadata.write_bytes(msgspec.json.encode({"x-api-key": calls.access.api_key}))
    return [
        "--insecure",
        f"--protoset={protoset}",
        f"--call={calls.method}",
        f"--binary-file={requests}",
        f"--metadata-file={metadata}",
        f"--total={calls.number}",
        f"--concurrency={calls.callers}",
        "--format=json",
        f"--output={folder / REPORT_FILE}",
        calls.access.target,
    ]


@contextlib.asynccontextmanager
async def _ended(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """See to it that the process has ended, whatever happens to us."""
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _set_of(file: descriptor.FileDescriptor) -> descriptor_pb2.FileDescriptorSet:
    """Return a file with all that it imports, what is imported first."""
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(one: descriptor.FileDescriptor) -> None:
        if one.name in found:
            return
        for imported in one.dependencies:
            add(imported)
        found[one.name] = descriptor_pb2.FileDescriptorProto()
        one.CopyToProto(found[one.name])

    add(file)
    return descriptor_pb2.FileDescriptorSet(file=found.values())


def varint(number: int) -> bytes:
    """Write a length as Protocol Buffers do before each of several messages."""
    written = bytearray()
    while number >= 1 << _VARINT_BITS:
        written.append(number % (1 << _VARINT_BITS) | 1 << _VARINT_BITS)
        number >>= _VARINT_BITS
    written.append(number)
    return bytes(written)


def _children_cpu_s() -> float:
    """Return what all processes took that we started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
