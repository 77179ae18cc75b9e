"""Calls by ghz, a widely used gRPC load generator in Go: https://ghz.sh.

It reads serialized requests from a file, so that it spends its time on calling. The API key is in
a file, too.
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
    """This percentage of the answers took at most this long."""

    percentage: int
    latency: int
    """In nanoseconds."""


class Report(msgspec.Struct, rename="camel"):
    """The part of ghz's report that is used here."""

    total: int
    """Nanoseconds from the first call to the last answer."""
    status_code_distribution: dict[str, int]
    latency_distribution: list[Percentile] | None = None

    @property
    def answered_ok(self) -> int:
        """Number of calls that were answered OK."""
        return self.status_code_distribution.get("OK", 0)

    @property
    def seconds(self) -> float:
        """Time from the first call to the last answer."""
        return self.total / NS_PER_S

    def percentile_ms(self, percent: int) -> float:
        """Return the time within which `percent` of the answers came; 0 if not reported."""
        found = {it.percentage: it.latency for it in self.latency_distribution or ()}
        return found.get(percent, 0) / NS_PER_MS


class Calls(NamedTuple):
    """The method to call, and the requests."""

    access: Access
    file: descriptor.FileDescriptor
    """Declares the method."""
    method: str
    """package.Service/Method"""
    requests: Iterable[bytes]
    """Serialized, one per call."""
    number: int
    """Number of requests."""
    callers: int


async def find(folder: Path) -> Path | None:
    """Return ghz from the PATH, from Go's folder, or built by Go into `folder` (absolute)."""
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
    """Try to build it; this needs access to Go's module proxy."""
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
    """Make the calls; return the report, and the processor time that ghz took, in seconds.

    Raises:
        Temporary: ghz failed; the message contains its output.
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
    """Write ghz's input files; return its arguments."""
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
    """Kill the process if it still runs when the context is left."""
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _set_of(file: descriptor.FileDescriptor) -> descriptor_pb2.FileDescriptorSet:
    """Return a file with all files that it imports; each comes after its own imports."""
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
    """Encode a length as Protocol Buffers do before a delimited message."""
    written = bytearray()
    while number >= 1 << _VARINT_BITS:
        written.append(number % (1 << _VARINT_BITS) | 1 << _VARINT_BITS)
        number >>= _VARINT_BITS
    written.append(number)
    return bytes(written)


def _children_cpu_s() -> float:
    """Return the processor time of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
