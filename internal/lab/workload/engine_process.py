"""An engine in a process of its own, for measuring: started as users start it, on a fresh folder.

What the process costs is read from /proc; elsewhere than on Linux that is not known.
"""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from internal.client import client
from internal.client.access import Access
from internal.infra import files, settings
from internal.kernel import errors
from internal.lab.workload import verification

HOST = "127.0.0.1"
OUTPUT_FILE = "output.txt"
START_S = 60.0
LOOK_EVERY_S = 0.1
DRAIN_S = 45.0
"""The engine drains for 30 s at most; then it is killed."""
_STAT_USER, _STAT_SYSTEM = 11, 12
"""Fields of /proc/PID/stat, counted behind the name (proc(5))."""


class Cost(NamedTuple):
    """What a process took so far."""

    cpu_s: float
    rss_mb: float
    """Memory that is its own or shared, in millions of bytes."""


class Engine:
    """A running engine."""

    def __init__(
        self, process: asyncio.subprocess.Process, options: settings.Settings, port: int
    ) -> None:
        self.process, self.options = process, options
        self.folder = options.storage.data_dir
        self.target = f"{HOST}:{port}"

    def access(self) -> Access:
        """Return what opens its door."""
        return Access(self.target, (self.folder / files.DEMO_KEY).read_text())

    def books(self) -> verification.Books:
        """Return its books."""
        return verification.Books(self.options, self.access().api_key)

    def cost(self) -> Cost:
        """Return what it took so far; zeros where that is not known."""
        return cost_of(self.process.pid)


def cost_of(pid: int) -> Cost:
    """Read what a process took; zeros where there is no /proc."""
    folder = Path(f"/proc/{pid}")
    try:
        stat = (folder / "stat").read_text()
        pages = int((folder / "statm").read_text().split()[1])
    except OSError:
        return Cost(0.0, 0.0)
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[_STAT_USER]) + int(fields[_STAT_SYSTEM])
    return Cost(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


@contextlib.asynccontextmanager
async def running(script: Path, near: Path) -> AsyncIterator[Engine]:
    """Start an engine on a fresh folder within `near`; stop it and remove the folder afterwards.

    Raises:
        Misconfigured: it does not start; the message ends with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=near) as name:
        start = Start(script, ("--data", name), {}, Path(name) / OUTPUT_FILE)
        async with serving(settings.of_folder(Path(name)), start) as engine:
            yield engine


class Start(NamedTuple):
    """How an engine's process is started."""

    script: Path
    arguments: Sequence[str]
    environment: Mapping[str, str]
    """On top of ours."""
    output: Path
    """Where it says what it says."""


@contextlib.asynccontextmanager
async def serving(options: settings.Settings, start: Start) -> AsyncIterator[Engine]:
    """Start an engine whose settings are `options`; stop it afterwards.

    Raises:
        Misconfigured: it does not start; the message ends with what it said.
    """
    engine = await _start(options, start)
    try:
        await _until_it_answers(engine, start.output)
        yield engine
    finally:
        await _stop(engine.process)


async def _start(options: settings.Settings, start: Start) -> Engine:
    port = free_port()
    command = [str(start.script), *start.arguments, "--port", str(port)]
    environment = {**os.environ, "SOUK_METRICS__PORT": "0", **start.environment}
    with start.output.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environment, stdout=output, stderr=output
        )
    return Engine(process, options, port)


async def _until_it_answers(engine: Engine, output: Path) -> None:
    give_up_at_s = time.perf_counter() + START_S
    while time.perf_counter() < give_up_at_s and engine.process.returncode is None:
        if (engine.folder / files.DEMO_KEY).is_file():
            async with contextlib.aclosing(client.Client(engine.access())) as connection:
                if await connection.greet(START_S) is None:
                    return
        await asyncio.sleep(LOOK_EVERY_S)
    said = (await asyncio.to_thread(output.read_text, errors="replace")).strip()
    raise errors.Misconfigured(f"the engine does not start: {said or 'it says nothing'}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(DRAIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
