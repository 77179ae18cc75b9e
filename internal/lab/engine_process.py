"""A real engine in a process of its own: started, watched, killed or asked to stop.

Knows nothing about what the engine is asked to do. Each process is ended by its own id, at the
latest when its context is left.
"""

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from internal.client import client
from internal.client.access import Access
from internal.infra.data_folder import files
from internal.kernel import errors

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "cmd" / "start.py"
HOST = "127.0.0.1"
ADDRESS = re.compile(r"takes orders on (\S+) \(gRPC\)")
START_S = 60.0
STOP_S = 60.0
"""The engine drains for 30 s at most."""
LOOK_EVERY_S = 0.1
LINE_BYTES_MAX = 1024 * 1024
"""A longer line of its output would end the reading, and then block the engine."""
OWN_PORTS = range(20_000, 32_768)
"""Linux assigns ports by itself from above these, unless it is configured otherwise."""
KILLED = -signal.SIGKILL
NO_METRICS: Mapping[str, str] = {"SOUK_METRICS__PORT": "0"}
IMPATIENT: Mapping[str, str] = {
    "SOUK_GATEWAY__TIMEOUT_S": "1",
    "SOUK_JANITOR__INTERVAL_S": "0.2",
}
"""Waiting work is found soon. Deadlines stay: the janitor must not hide that a message was lost."""


class Start(NamedTuple):
    """How an engine is started."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    """All of it."""
    port: int = 0
    """Of the gRPC server; 0 takes any free one."""
    script: Path = SCRIPT


class Serving(NamedTuple):
    """An engine that answers."""

    pid: int
    access: Access


class Engine:
    """One engine process, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the process is not known to have ended."""
        return self._process.returncode is None

    @property
    def output(self) -> str:
        """Everything that it has written to stderr so far."""
        return "".join(self._lines)

    async def address(self) -> str:
        """Return where it takes orders, as soon as it does; "" if it ended before that.

        Raises:
            TimeoutError: neither happened within START_S.
        """
        async with asyncio.timeout(START_S):
            return await asyncio.shield(self._address)

    def kill(self) -> None:
        """Do what a power cut does to a process: SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def terminate(self) -> None:
        """Ask it to drain and stop: SIGTERM."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def ended(self) -> int:
        """Wait for its end; return its exit code, KILLED after SIGKILL."""
        await asyncio.shield(self._listening)
        return await self._process.wait()

    async def stop(self) -> int:
        """Have it drain and stop; return its exit code.

        Raises:
            TimeoutError: it still runs after STOP_S.
        """
        self.terminate()
        async with asyncio.timeout(STOP_S):
            return await self.ended()

    async def _listen(self) -> None:
        if self._process.stderr is None:
            return
        async for line in self._process.stderr:
            self._lines.append(line.decode(errors="replace"))
            found = ADDRESS.search(self._lines[-1])
            if found and not self._address.done():
                self._address.set_result(found[1])
        if not self._address.done():
            self._address.set_result("")


@contextlib.asynccontextmanager
async def started(start: Start) -> AsyncIterator[Engine]:
    """Start an engine; kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(start.script),
        *("--port", str(start.port)),
        *start.arguments,
        env=start.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    engine = Engine(process)
    try:
        yield engine
    finally:
        engine.kill()
        await engine.ended()


def isolated(
    folder: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    port: int = 0,
    script: Path = SCRIPT,
) -> contextlib.AbstractAsyncContextManager[Engine]:
    """Start an engine on a data folder; it sees these settings and none of the caller's."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SOUK_")}
    environment = {**ours, **NO_METRICS, **IMPATIENT, **(settings or {})}
    return started(Start(("--data", str(folder), *arguments), environment, port, script))


@contextlib.asynccontextmanager
async def serving(
    arguments: Sequence[str], data_dir: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Serving]:
    """Start an engine as users do, with the caller's settings; drain and stop it at the end.

    Args:
        arguments: its command line without the port, which is any free one.
        data_dir: where it writes the API key of the demo shop.
        settings: added to the caller's environment.

    Raises:
        Misconfigured: it does not start; the message ends with its output.
    """
    environment = {**os.environ, **NO_METRICS, **(settings or {})}
    async with started(Start(arguments, environment)) as engine:
        try:
            yield Serving(engine.pid, await _access_when_ready(engine, data_dir))
        finally:
            with contextlib.suppress(TimeoutError):
                await engine.stop()


async def _access_when_ready(engine: Engine, data_dir: Path) -> Access:
    """Wait until the engine answers a call with the demo shop's key."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            address = await engine.address()
            if address and (data_dir / files.DEMO_KEY).is_file():
                access = access_to(address, data_dir)
                async with contextlib.aclosing(client.Client(access)) as connection:
                    while engine.is_running:
                        if await connection.greet(START_S) is None:
                            return access
                        await asyncio.sleep(LOOK_EVERY_S)
    said = engine.output.strip() or "it wrote no output"
    raise errors.Misconfigured(f"the engine does not start: {said}")


def access_to(address: str, data_dir: Path) -> Access:
    """Return an engine's address with the API key in its data folder."""
    return Access(address, (data_dir / files.DEMO_KEY).read_text())


def armed(failpoints: str) -> dict[str, str]:
    """Return the settings that arm failpoints."""
    return {"SOUK_TESTING": "1", "SOUK_FAILPOINTS": failpoints}


def free_port() -> int:
    """Return a port on which nothing listens now, and which Linux does not assign by itself.

    So it is still free later, and again after its process was killed.
    """
    while True:
        port = secrets.choice(OWN_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
